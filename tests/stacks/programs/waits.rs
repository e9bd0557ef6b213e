// Waits below main, one, Shop::two, a closure's caller three, and by_sleep.
use std::io::Write;

// As std::hint has it, which Debian 12's compiler lacks.
fn black_box<T>(value: T) -> T {
    unsafe { std::ptr::read_volatile(&std::mem::ManuallyDrop::new(value) as *const _ as *const T) }
}

struct Shop(u64);

trait Waits {
    fn two(&self) -> u64;
}

impl Waits for Shop {
    #[inline(never)]
    fn two(&self) -> u64 {
        black_box(three(|nap| by_sleep(nap), self.0))
    }
}

#[inline(never)]
fn by_sleep(milliseconds: u64) -> u64 {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    black_box(milliseconds)
}

#[inline(never)]
fn three<F: Fn(u64) -> u64>(wait: F, nap: u64) -> u64 {
    black_box(wait(nap))
}

#[inline(never)]
fn one(shop: &Shop) -> u64 {
    black_box(shop.two())
}

fn main() {
    println!("ready");
    std::io::stdout().flush().unwrap();
    loop {
        black_box(one(&Shop(4)));
    }
}

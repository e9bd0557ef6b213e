// Waits in C below main.main, main.one, main.(*Shop).two and main.three, in a thread of its own with
// the name "calls_c".
package main

// #include <sys/prctl.h>
// #include <time.h>
// static void name_thread(void) { prctl(PR_SET_NAME, "calls_c"); }
// __attribute__((noinline)) static int wait_in_c(void) {
//     struct timespec nap = {0, 4000000};
//     return nanosleep(&nap, 0) + 1;
// }
// __attribute__((noinline)) static int call_in_c(void) { return wait_in_c() + 1; }
import "C"

import (
	"fmt"
	"runtime"
)

type Shop struct{ waits int }

//go:noinline
func three() int { return int(C.call_in_c()) + 1 }

//go:noinline
func (shop *Shop) two() int {
	shop.waits += three()
	return shop.waits
}

//go:noinline
func one(shop *Shop) int { return shop.two() + 1 }

func main() {
	runtime.LockOSThread()
	C.name_thread()
	fmt.Println("ready")
	shop := &Shop{}
	for {
		one(shop)
	}
}

// Waits below main, shop::App::run, a lambda, shop::take<int>, (anonymous namespace)::wait_for_it,
// where an operator and a destructor with long names are on the way.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#define APART __attribute__((noinline, noclone))
#define NOT_LAST __asm__ volatile("")

namespace {
APART void wait_for_it(std::mutex &mutex, std::condition_variable &condition)
{
    std::unique_lock lock(mutex);
    condition.wait_for(lock, std::chrono::milliseconds(4));
    NOT_LAST;
}
}

namespace shop {
template <typename Item> struct Shelf {
    std::mutex mutex;
    std::condition_variable condition;
    APART Item operator()(const std::vector<Item> &items)
    {
        wait_for_it(mutex, condition);
        NOT_LAST;
        return items[0];
    }
};

template <typename Item> APART Item take(Shelf<Item> &shelf, const std::string &name)
{
    Item item = shelf(std::vector<Item>{Item(name.size())});
    NOT_LAST;
    return item;
}

class App {
    Shelf<int> shelf;

  public:
    APART int run(const std::function<int(int)> &then)
    {
        int taken = then(take(shelf, "an item"));
        NOT_LAST;
        return taken;
    }
};
}

int main()
{
    shop::App app;
    std::puts("ready");
    std::fflush(stdout);
    for (int sum = 0;;)
        sum += app.run([](int item) { return item + 1; });
}

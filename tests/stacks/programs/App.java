/** Waits below main, serve, request, price and bySleep. */
public class App {
    static int bySleep() throws InterruptedException {
        Thread.sleep(4);
        return 1;
    }

    static int price() throws InterruptedException {
        return bySleep() + 1;
    }

    static int request() throws InterruptedException {
        return price() + 1;
    }

    static int serve() throws InterruptedException {
        return request() + 1;
    }

    public static void main(String[] arguments) throws InterruptedException {
        System.out.println("ready");
        for (int sum = 0; ; ) sum += serve();
    }
}

import java.util.concurrent.SynchronousQueue;

/** Two threads that hand an object to and fro, each below a few calls.
 *
 * <p>usage: Pair PAUSE, the milliseconds between two of them.
 */
public class Pair {
    static final SynchronousQueue<Integer> THERE = new SynchronousQueue<>();
    static final SynchronousQueue<Integer> BACK = new SynchronousQueue<>();

    static int pause;

    static void answer(SynchronousQueue<Integer> from, SynchronousQueue<Integer> to)
            throws InterruptedException {
        to.put(from.take() + 1);
    }

    static void serve(SynchronousQueue<Integer> from, SynchronousQueue<Integer> to) {
        try {
            while (true) {
                answer(from, to);
                if (pause > 0) Thread.sleep(pause);
            }
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        pause = Integer.parseInt(arguments[0]);
        Thread other = new Thread(() -> serve(THERE, BACK));
        other.setDaemon(true);
        other.start();
        System.out.println("ready");
        THERE.put(1);
        serve(BACK, THERE);
    }
}

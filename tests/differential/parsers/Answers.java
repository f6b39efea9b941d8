import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.nio.charset.StandardCharsets;

/** What the parsers in Java share. */
final class Answers {
    private static final String GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";

    interface Parser {
        boolean hasGrant(byte[] request) throws Exception;
    }

    static boolean isGrant(Object value) {
        if (value instanceof String text) {
            return text.trim().equalsIgnoreCase(GRANT);
        }
        if (value instanceof Object[] elements) {
            for (Object element : elements) {
                if (isGrant(element)) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The start of the body. */
    static int bodyOf(byte[] request) {
        for (int i = 0; i + 3 < request.length; i++) {
            if (request[i] == '\r' && request[i + 1] == '\n' && request[i + 2] == '\r' && request[i + 3] == '\n') {
                return i + 4;
            }
        }
        return request.length;
    }

    static void answer(String name, Parser parser) throws Exception {
        System.out.println(name);
        System.out.flush();
        DataInputStream input = new DataInputStream(new BufferedInputStream(System.in, 1 << 20));
        while (true) {
            byte[] answers;
            try {
                answers = new byte[Integer.reverseBytes(input.readInt())];
            } catch (EOFException end) {
                System.exit(0);
                return;
            }
            for (int i = 0; i < answers.length; i++) {
                byte[] request = new byte[Integer.reverseBytes(input.readInt())];
                input.readFully(request);
                answers[i] = (byte) (parser.hasGrant(request) ? '1' : '0');
            }
            System.out.write(answers);
            System.out.flush();
        }
    }
}

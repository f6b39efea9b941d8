import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import javax.servlet.MultipartConfigElement;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.LocalConnector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;

/** Jetty, a servlet container: the whole server, with a connector in memory. */
public final class JettyParser {
    private static boolean found;

    public static final class Token extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            try {
                found = Answers.isGrant(request.getParameterValues("grant_type"));
            } catch (RuntimeException refused) {
                // The server answers 400.
                found = false;
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Server server = new Server();
        HttpConfiguration configuration = new HttpConfiguration();
        configuration.setSendServerVersion(false);
        LocalConnector connector = new LocalConnector(server, new HttpConnectionFactory(configuration));
        server.addConnector(connector);
        ServletContextHandler context = new ServletContextHandler();
        ServletHolder holder = new ServletHolder(new Token());
        holder.getRegistration().setMultipartConfig(new MultipartConfigElement(System.getProperty("java.io.tmpdir"), -1, -1, 1 << 20));
        context.addServlet(holder, "/token");
        context.addServlet(holder, "/token/*");
        server.setHandler(context);
        server.start();
        Answers.answer("Jetty " + Server.getVersion(), request -> {
            found = false;
            boolean isHead = request[0] == 'H' && request[1] == 'E';
            connector.getResponse(ByteBuffer.wrap(request), isHead, 5, TimeUnit.SECONDS);
            return found;
        });
    }
}

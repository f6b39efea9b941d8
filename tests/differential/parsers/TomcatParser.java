import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.catalina.Context;
import org.apache.catalina.Wrapper;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.catalina.util.ServerInfo;

/** Tomcat, a servlet container: the whole server, on a port of this machine. */
public final class TomcatParser {
    private static volatile boolean found;
    private static Socket socket;
    private static InputStream responses;

    public static final class Token extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            found = Answers.isGrant(request.getParameterValues("grant_type"));
        }
    }

    public static void main(String[] arguments) throws Exception {
        java.util.logging.LogManager.getLogManager().reset();
        Path folder = Files.createTempDirectory("tomcat");
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(folder.toString());
        Connector connector = new Connector();
        connector.setPort(0);
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("maxKeepAliveRequests", "-1");
        connector.setProperty("relaxedPathChars", "\"<>[\\]^`{|}");
        connector.setProperty("relaxedQueryChars", "\"<>[\\]^`{|}");
        // The most lenient settings.
        connector.setEncodedSolidusHandling("decode");
        connector.setParseBodyMethods("POST,PUT,PATCH,GET");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", folder.toString());
        context.setAllowCasualMultipartParsing(true);
        Wrapper wrapper = Tomcat.addServlet(context, "token", new Token());
        wrapper.setMultipartConfigElement(new MultipartConfigElement(folder.toString(), -1, -1, 1 << 20));
        context.addServletMappingDecoded("/token", "token");
        context.addServletMappingDecoded("/token/*", "token");
        tomcat.start();
        int port = connector.getLocalPort();
        Answers.answer(ServerInfo.getServerInfo(), request -> {
            found = false;
            for (int attempt = 0; attempt < 2; attempt++) {
                if (socket == null) {
                    socket = new Socket(InetAddress.getLoopbackAddress(), port);
                    socket.setTcpNoDelay(true);
                    // A response that does not come ends the run.
                    socket.setSoTimeout(10_000);
                    responses = new BufferedInputStream(socket.getInputStream());
                }
                socket.getOutputStream().write(request);
                if (skipResponse(request[0] == 'H' && request[1] == 'E')) {
                    break;
                }
                socket.close();
                socket = null;
            }
            return found;
        });
    }

    /** Reads a response. Returns whether the connection can have another request. */
    private static boolean skipResponse(boolean isOfHead) throws IOException {
        int length = 0;
        boolean isOpen = true;
        while (true) {
            StringBuilder line = new StringBuilder();
            for (int c = responses.read(); c != '\n'; c = responses.read()) {
                if (c < 0) {
                    return false;
                }
                line.append((char) c);
            }
            String text = line.toString().trim().toLowerCase();
            if (text.isEmpty()) {
                break;
            }
            if (text.startsWith("content-length:")) {
                length = Integer.parseInt(text.substring(15).trim());
            }
            if (text.equals("connection: close")) {
                isOpen = false;
            }
        }
        responses.skipNBytes(isOfHead ? 0 : length);
        if (!isOpen) {
            socket.close();
            socket = null;
        }
        return true;
    }
}

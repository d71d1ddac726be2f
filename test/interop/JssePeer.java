import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Scanner;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * A TLS 1.3 party on JSSE, told what to do line by line on standard input (see line-peer.ts):
 * {@code connect ID PORT} or {@code serve ID}. What it says starts with the ID.
 *
 * <p>Usage: java JssePeer.java KEYSTORE.p12 PASSWORD CA.pem
 */
public final class JssePeer {
  private static final int URI_NAME = 6;

  private final SSLContext context;

  private JssePeer(SSLContext context) {
    this.context = context;
  }

  public static void main(String[] args) throws Exception {
    JssePeer peer = new JssePeer(contextOf(args[0], args[1].toCharArray(), args[2]));
    System.out.println("ready");
    Scanner lines = new Scanner(System.in);
    while (lines.hasNextLine()) {
      String[] words = lines.nextLine().split(" ");
      Thread thread = new Thread(() -> peer.attempt(words));
      thread.setDaemon(true);
      thread.start();
    }
  }

  private void attempt(String[] words) {
    String id = words[1];
    try {
      if (words[0].equals("connect")) connect(id, Integer.parseInt(words[2]));
      else serve(id);
    } catch (Exception failure) {
      say(id, "failed " + failure);
    }
  }

  private void connect(String id, int port) throws Exception {
    try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
      SSLParameters parameters = socket.getSSLParameters();
      parameters.setProtocols(new String[] {"TLSv1.3"});
      // Verifies that the certificate is for localhost, and asks for it by SNI.
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setServerNames(List.of(new javax.net.ssl.SNIHostName("localhost")));
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      describe(id, socket.getSession());
      byte[] question = ("said by " + id).getBytes(StandardCharsets.UTF_8);
      socket.getOutputStream().write(question);
      byte[] answer = socket.getInputStream().readNBytes(question.length);
      say(id, "received " + new String(answer, StandardCharsets.UTF_8));
      socket.shutdownOutput();
      if (socket.getInputStream().read() != -1) throw new IOException("More than the echo came back");
    }
    say(id, "closed");
  }

  private void serve(String id) throws Exception {
    InetAddress loopback = InetAddress.getByName("127.0.0.1");
    try (SSLServerSocket listener =
        (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 1, loopback)) {
      listener.setEnabledProtocols(new String[] {"TLSv1.3"});
      listener.setNeedClientAuth(true);
      say(id, "listening " + listener.getLocalPort());
      try (SSLSocket socket = (SSLSocket) listener.accept()) {
        socket.startHandshake();
        describe(id, socket.getSession());
        InputStream input = socket.getInputStream();
        byte[] buffer = new byte[4096];
        for (int count; (count = input.read(buffer)) != -1; ) socket.getOutputStream().write(buffer, 0, count);
      }
    }
    say(id, "closed");
  }

  private static void describe(String id, SSLSession session) throws Exception {
    X509Certificate certificate = (X509Certificate) session.getPeerCertificates()[0];
    StringBuilder names = new StringBuilder();
    for (List<?> name : certificate.getSubjectAlternativeNames()) {
      if (name.get(0).equals(URI_NAME)) names.append(' ').append(name.get(1));
    }
    say(id, "session " + session.getProtocol() + " " + session.getCipherSuite() + names);
  }

  /** One write for each line, so that lines of several threads do not mix. */
  private static synchronized void say(String id, String text) {
    System.out.println(id + " " + text);
  }

  private static SSLContext contextOf(String keyStorePath, char[] password, String anchorPath)
      throws Exception {
    KeyStore own = KeyStore.getInstance("PKCS12");
    try (InputStream file = new FileInputStream(keyStorePath)) {
      own.load(file, password);
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(own, password);
    KeyStore anchors = KeyStore.getInstance("PKCS12");
    anchors.load(null, null);
    try (InputStream file = new FileInputStream(anchorPath)) {
      anchors.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(file));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(anchors);
    SSLContext context = SSLContext.getInstance("TLSv1.3");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }
}

//! A TCP proxy between the gateway and the server, which breaks connections.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How the proxy treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    Pass,
    /// Nobody listens, and open connections are closed.
    Down,
    /// Connections are accepted, and nothing comes back.
    HalfOpen,
    /// Each connection ends one byte of the answer later than the connection before.
    Cut,
}

struct Shared {
    port: u16,
    server: u16,
    treatment: Mutex<Treatment>,
    /// The number of bytes of an answer that the next connection passes.
    cut_at: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

#[derive(Clone)]
pub(crate) struct Proxy(Arc<Shared>);

/// The bytes after which the cuts begin again. No answer of the server is longer.
const LONGEST_ANSWER: usize = 700;

impl Proxy {
    pub(crate) fn start(port: u16, server: u16) -> Self {
        let (treatment, cut_at, open) = (Mutex::new(Treatment::Pass), AtomicUsize::new(0), Mutex::default());
        let proxy = Self(Arc::new(Shared { port, server, treatment, cut_at, open }));
        let this = proxy.clone();
        thread::spawn(move || this.listen());
        proxy
    }

    pub(crate) fn treat(&self, treatment: Treatment) {
        *self.0.treatment.lock().unwrap() = treatment;
        if treatment != Treatment::Pass {
            // Connections that the gateway has kept are treated in the new way too.
            for stream in self.0.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// The number of connections that were cut, each after another number of bytes.
    pub(crate) fn cuts(&self) -> usize {
        self.0.cut_at.load(Ordering::Relaxed)
    }

    fn treatment(&self) -> Treatment {
        *self.0.treatment.lock().unwrap()
    }

    fn listen(&self) {
        let mut listener = None;
        loop {
            thread::sleep(Duration::from_millis(1));
            if self.treatment() == Treatment::Down {
                listener = None;
                continue;
            }
            if listener.is_none() {
                listener = TcpListener::bind(("127.0.0.1", self.0.port)).ok();
            }
            let Some(listener) = &listener else { continue };
            listener.set_nonblocking(true).unwrap();
            while let Ok((stream, _)) = listener.accept() {
                let this = self.clone();
                thread::spawn(move || this.pass(stream));
            }
        }
    }

    fn pass(&self, mut client: TcpStream) -> Option<()> {
        client.set_nonblocking(false).ok()?;
        let treatment = self.treatment();
        self.0.open.lock().unwrap().push(client.try_clone().ok()?);
        if treatment == Treatment::HalfOpen {
            let _ = io::copy(&mut client, &mut io::sink());
            return None;
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.0.server)).ok()?;
        let (mut requests, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        thread::spawn(move || {
            let _ = io::copy(&mut requests, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let mut room = match treatment {
            Treatment::Cut => self.0.cut_at.fetch_add(1, Ordering::Relaxed) % LONGEST_ANSWER,
            _ => usize::MAX,
        };
        let mut piece = [0; 4096];
        while room > 0 {
            let read = server.read(&mut piece).ok().filter(|read| *read > 0);
            let Some(read) = read else { break };
            let passed = read.min(room);
            if client.write_all(&piece[..passed]).is_err() {
                break;
            }
            room = room.saturating_sub(passed);
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        Some(())
    }
}

//! A relay between a function and DynamoDB, as a router on the way: it can forget the connections that go through it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::bucket;
use crate::table::TestTable;

/// How connections end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Death {
    /// What is sent on them is swallowed, and nobody is told.
    Silent,
    /// They are reset.
    Reset,
}

/// Passes on what connections bring.
pub struct Relay {
    pub url: String,
    /// Both ends of each connection, and what passes on between them.
    open: Arc<Mutex<Vec<(TcpStream, AbortHandle)>>>,
    /// Connections that swallow what is sent.
    swallowing: Vec<TcpStream>,
    opened: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn before(table: &TestTable) -> Self {
        let dynamodb = table.url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        bucket::put_beside(&url, &bucket::url_beside(&table.url));
        let open: Arc<Mutex<Vec<_>>> = Arc::default();
        let opened = Arc::new(AtomicUsize::new(0));
        let (connections, count) = (open.clone(), opened.clone());
        tokio::spawn(async move {
            loop {
                let client = listener.accept().await.unwrap().0.into_std().unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                // A second handle, since the copy takes the first.
                let handle = TcpStream::from_std(client.try_clone().unwrap()).unwrap();
                let mut client = TcpStream::from_std(client).unwrap();
                let mut server = TcpStream::connect(&dynamodb).await.unwrap();
                let copy = tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
                connections.lock().unwrap().push((handle, copy.abort_handle()));
            }
        });
        Self { url, open, swallowing: Vec::new(), opened }
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Ends so many of the connections that are open.
    pub fn kill(&mut self, death: Death, count: usize) {
        let mut open = self.open.lock().unwrap();
        let count = count.min(open.len());
        for (client, copy) in open.drain(..count) {
            copy.abort();
            match death {
                Death::Silent => self.swallowing.push(client),
                Death::Reset => client.set_zero_linger().unwrap(),
            }
        }
    }
}

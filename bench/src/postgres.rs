//! A fenced write as a program would have it in PostgreSQL: one conditional UPDATE, in a transaction of
//! its own, durable before it is answered. Each client has a connection of its own, as they have there;
//! their commits share syncs of the log.

use std::sync::Arc;

use leasehold_bench::locks::{Failed, Write, Writes};
use tokio_postgres::{Client, NoTls, Statement};

/// Every resource's token.
pub(crate) const TOKEN: u64 = 1;

/// Pages with room, so that an updated row stays where it is and no index is touched.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS fenced (resource text PRIMARY KEY, \
                     token bigint NOT NULL, value bytea NOT NULL) WITH (fillfactor = 50)";
const WRITE: &str = "UPDATE fenced SET token = $2, value = $3 WHERE resource = $1 AND token <= $2";

/// One client's connection.
#[derive(Clone)]
pub(crate) struct Postgres {
    client: Arc<Client>,
    write: Statement,
}

impl Postgres {
    /// Connects as often as there are clients, and makes a row for each resource.
    pub(crate) async fn open(
        endpoint: &str,
        resources: &[String],
        clients: usize,
    ) -> Result<Vec<Self>, tokio_postgres::Error> {
        let mut links = Vec::new();
        for _ in 0..clients {
            let client = connect(endpoint).await?;
            if links.is_empty() {
                client.execute(TABLE, &[]).await?;
                let insert = "INSERT INTO fenced VALUES ($1, 0, '') ON CONFLICT DO NOTHING";
                for resource in resources {
                    client.execute(insert, &[resource]).await?;
                }
            }
            let write = client.prepare(WRITE).await?;
            links.push(Self { client: Arc::new(client), write });
        }
        Ok(links)
    }

    /// Whether it syncs: both settings that a fenced write rests on.
    pub(crate) async fn syncs(&self) -> Result<bool, tokio_postgres::Error> {
        for setting in ["fsync", "synchronous_commit"] {
            let row = self.client.query_one(&format!("SHOW {setting}"), &[]).await?;
            if row.get::<_, &str>(0) != "on" {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many writes a smaller token than `TOKEN` can still do: none.
    pub(crate) async fn stale_writes(&self, resource: &str) -> Result<u64, tokio_postgres::Error> {
        let (token, value): (i64, &[u8]) = (0, b"stale");
        self.client.execute(&self.write, &[&resource, &token, &value]).await
    }
}

async fn connect(endpoint: &str) -> Result<Client, tokio_postgres::Error> {
    let (host, port) = endpoint.rsplit_once(':').unwrap_or((endpoint, "5432"));
    let config = format!("host={host} port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(async move {
        // Whoever waits for an answer is told.
        let _ = connection.await;
    });
    Ok(client)
}

impl Writes for Postgres {
    async fn write(&self, write: Write<'_>) -> Result<(), Failed> {
        let token = i64::try_from(write.token).unwrap_or(i64::MAX);
        let value: &[u8] = write.value;
        let written = self.client.execute(&self.write, &[&write.resource, &token, &value]).await;
        match written {
            Ok(1) => Ok(()),
            Ok(_) => Err(Failed("STALE_TOKEN")),
            Err(_) => Err(Failed("POSTGRES_ERROR")),
        }
    }
}

//! Retained messages of the embedded broker, kept in the journal's file: a node that comes back after weeks still finds
//! its configuration.

use std::time::Duration;

use async_trait::async_trait;
use rmqtt::codec::types::Publish as CodecPublish;
use rmqtt::retain::{DefaultRetainStorage, RetainStorage};
use rmqtt::types::{From, Id, QoS, Retain, TopicFilter, TopicName};

use crate::journal::{Journal, ReadError};

/// Most retained messages: one configuration for each of that many nodes.
const MOST: isize = 10_000;

/// The table `retained` with rmqtt's matching in front of it.
pub(super) struct Retained {
    journal: Journal,
    memory: DefaultRetainStorage,
}

impl Retained {
    pub(super) async fn load(journal: Journal) -> Result<Self, ReadError> {
        let rows: Vec<(String, u8, Vec<u8>)> = journal
            .read(|c| {
                let mut select = c.prepare("SELECT topic, qos, payload FROM retained")?;
                let rows = select
                    .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
                    .collect::<Result<_, _>>()?;
                Ok(rows)
            })
            .await?;
        let memory = DefaultRetainStorage::new();
        for (topic, qos, payload) in rows {
            let qos = if qos == 0 {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            };
            let name: TopicName = topic.as_str().into();
            let publish = CodecPublish {
                dup: false,
                retain: true,
                qos,
                topic: topic.into(),
                packet_id: None,
                payload: payload.into(),
                properties: None,
            };
            let from = From::from_system(Id::new(1, 0, None, None, "sen-gateway".into(), None));
            let retain = Retain {
                msg_id: None,
                from,
                publish: publish.into(),
            };
            if let Err(e) = memory.set_with_timeout(&name, retain, None).await {
                tracing::warn!("retained message of {name} not loaded: {e}");
            }
        }
        Ok(Self { journal, memory })
    }
}

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(
        &self,
        topic: &TopicName,
        retain: Retain,
        expiry: Option<Duration>,
    ) -> rmqtt::net::Result<()> {
        let (name, qos, payload) = (
            topic.to_string(),
            u8::from(retain.publish.qos != QoS::AtMostOnce),
            retain.publish.payload.to_vec(),
        );
        self.journal
            .write(move |c| {
                if payload.is_empty() {
                    c.execute("DELETE FROM retained WHERE topic = ?1", [name])
                        .map(drop)
                } else {
                    c.execute(
                        "INSERT OR REPLACE INTO retained VALUES (?1, ?2, ?3)",
                        (name, qos, payload),
                    )
                    .map(drop)
                }
            })
            .await?;
        self.memory.set_with_timeout(topic, retain, expiry).await
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::net::Result<Vec<(TopicName, Retain)>> {
        self.memory.get_message(filter).await
    }

    async fn count(&self) -> isize {
        self.memory.count().await
    }

    async fn max(&self) -> isize {
        MOST
    }
}

//! The table itself, for the local server and the tests; in AWS, `template.yaml` creates it.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};

use super::{Error, Store};

impl Store {
    /// Creates the table, with its keys and its time-to-live attribute. An existing table is an internal error.
    pub async fn create_table(&self) -> Result<(), Error> {
        let mut create =
            self.client.create_table().table_name(&self.table).billing_mode(BillingMode::PayPerRequest);
        for (name, key_type) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .map_err(Error::incomplete("AttributeDefinition"))?;
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(key_type)
                .build()
                .map_err(Error::incomplete("KeySchemaElement"))?;
            create = create.attribute_definitions(attribute).key_schema(key);
        }
        create.send().await.map_err(|error| Error::of_call("CreateTable", &error))?;
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name("ttl")
            .enabled(true)
            .build()
            .map_err(Error::incomplete("TimeToLiveSpecification"))?;
        self.client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(ttl)
            .send()
            .await
            .map_err(|error| Error::of_call("UpdateTimeToLive", &error))?;
        Ok(())
    }

    /// Has the table write its stream, which the worker reads; one that does already goes on.
    pub async fn enable_stream(&self) -> Result<(), Error> {
        let table = self.client.describe_table().table_name(&self.table).send().await;
        let table = table.map_err(|error| Error::of_call("DescribeTable", &error))?.table;
        if table.is_some_and(|table| table.stream_specification.is_some_and(|stream| stream.stream_enabled)) {
            return Ok(());
        }
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build()
            .map_err(Error::incomplete("StreamSpecification"))?;
        let update = self.client.update_table().table_name(&self.table).stream_specification(stream);
        update.send().await.map_err(|error| Error::of_call("UpdateTable", &error))?;
        Ok(())
    }
}

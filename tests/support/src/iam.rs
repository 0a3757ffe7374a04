//! The IAM permissions that calls of DynamoDB need.

use serde_json::Value;

use crate::table::TABLE;

/// The IAM actions of a call and their partitions.
///
/// IAM knows no action for transactions: it wants those of the writes in them, each, as is assumed, on its own partition.
pub fn actions(operation: &str, body: &Value) -> Vec<(String, String)> {
    let action = |name: &str, pk: &Value| {
        let (kind, _) = pk["S"].as_str().unwrap().split_once('#').unwrap();
        (format!("dynamodb:{name}"), format!("{kind}#*"))
    };
    let items = &body["RequestItems"][TABLE];
    match operation {
        "GetItem" | "UpdateItem" => vec![action(operation, &body["Key"]["pk"])],
        "Query" => vec![action(operation, &body["ExpressionAttributeValues"][":pk"])],
        "BatchGetItem" => {
            items["Keys"].as_array().unwrap().iter().map(|key| action(operation, &key["pk"])).collect()
        }
        "BatchWriteItem" => {
            let writes = items.as_array().unwrap().iter();
            writes.map(|write| action(operation, &write["DeleteRequest"]["Key"]["pk"])).collect()
        }
        "TransactWriteItems" => {
            let writes = body["TransactItems"].as_array().unwrap().iter();
            writes
                .flat_map(|write| write.as_object().unwrap())
                .map(|(write, of)| match write.as_str() {
                    "Put" => {
                        let (name, partition) = action("PutItem", &of["Item"]["pk"]);
                        let is_conditional = of["ConditionExpression"] == "attribute_not_exists(pk)";
                        // Which IAM cannot demand.
                        assert!(
                            !partition.starts_with("AUDIT") || is_conditional,
                            "an entry is put over one"
                        );
                        (name, partition)
                    }
                    "ConditionCheck" => action("ConditionCheckItem", &of["Key"]["pk"]),
                    _ => action(&format!("{write}Item"), &of["Key"]["pk"]),
                })
                .collect()
        }
        _ => panic!("the actions of {operation} are not known"),
    }
}

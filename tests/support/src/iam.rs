//! The IAM permissions that calls of DynamoDB and of S3 need.

use serde_json::Value;

use crate::table::TABLE;

/// On what actions of S3 are allowed: the objects of the bucket, and the bucket itself.
pub const OBJECTS: &str = "objects";
pub const BUCKET: &str = "bucket";

/// The actions of S3 that an answer's addresses let whoever has it make in the function's name.
pub fn signed_actions(answer: &Value) -> Vec<(String, String)> {
    let text = answer.to_string();
    let is_upload = text.contains("X-Amz-Signature") && text.contains("\"method\":\"PUT\"");
    let is_download = text.contains("X-Amz-Signature") && !is_upload;
    let signed = [("s3:PutObject", is_upload), ("s3:GetObject", is_download)];
    let actions = signed.into_iter().filter(|(_, is_signed)| *is_signed);
    actions.map(|(action, _)| (action.to_owned(), OBJECTS.to_owned())).collect()
}

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
        "UpdateItem" => vec![action(operation, &body["Key"]["pk"])],
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
        "PutItem" => vec![action(operation, &body["Item"]["pk"])],
        "PutObject" => vec![("s3:PutObject".to_owned(), OBJECTS.to_owned())],
        "DeleteObject" => vec![("s3:DeleteObject".to_owned(), OBJECTS.to_owned())],
        "GetObject" => vec![("s3:GetObject".to_owned(), OBJECTS.to_owned())],
        // Who may not list the bucket is told of an object that is missing that it is forbidden.
        "HeadObject" => vec![
            ("s3:GetObject".to_owned(), OBJECTS.to_owned()),
            ("s3:ListBucket".to_owned(), BUCKET.to_owned()),
        ],
        _ => panic!("the actions of {operation} are not known"),
    }
}

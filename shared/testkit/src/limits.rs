//! DynamoDB limits that the engine does not enforce. Exceeding one is answered as AWS would: `ValidationException`.

use serde_json::Value;

/// Operators and functions in one expression.
const OPERATORS_MAX: usize = 300;
/// Bytes of one expression.
const EXPRESSION_BYTES_MAX: usize = 4096;
/// Operands of one `IN`.
const IN_OPERANDS_MAX: usize = 100;
/// Actions of one transaction.
const ACTIONS_MAX: usize = 100;
/// Bytes of one transaction: 4 MB. The JSON is larger than the items, so this errs on the safe side.
const TRANSACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Checks a request and each action in it.
pub(crate) fn check(request: &Value) -> Result<(), String> {
    check_expressions(request)?;
    let Some(actions) = request.get("TransactItems").and_then(Value::as_array) else { return Ok(()) };
    if actions.len() > ACTIONS_MAX {
        return Err(format!("a transaction of {} actions exceeds {ACTIONS_MAX}", actions.len()));
    }
    let bytes = request.to_string().len();
    if bytes > TRANSACTION_BYTES_MAX {
        return Err(format!("a transaction of {bytes} bytes exceeds {TRANSACTION_BYTES_MAX}"));
    }
    actions.iter().filter_map(Value::as_object).flat_map(|action| action.values()).try_for_each(check_expressions)
}

fn check_expressions(request: &Value) -> Result<(), String> {
    let Some(fields) = request.as_object() else { return Ok(()) };
    for (name, expression) in fields.iter().filter(|(name, _)| name.ends_with("Expression")) {
        let Some(expression) = expression.as_str() else { continue };
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("{name} has {} bytes, more than {EXPRESSION_BYTES_MAX}", expression.len()));
        }
        let operators = operators(expression, name == "UpdateExpression");
        if operators > OPERATORS_MAX {
            return Err(format!("{name} contains too many operators: {operators}, more than {OPERATORS_MAX}"));
        }
        let operands = in_operands(expression);
        if operands > IN_OPERANDS_MAX {
            return Err(format!("{name} has {operands} operands in one IN, more than {IN_OPERANDS_MAX}"));
        }
    }
    Ok(())
}

/// Operators and functions: comparisons, `AND`, `OR`, `NOT`, `BETWEEN`, `IN`, `+`, `-`, and each `name(`. The `=` of a
/// `SET` is an assignment, not an operator; the `AND` of a `BETWEEN` is counted too, on the safe side.
fn operators(expression: &str, is_update: bool) -> usize {
    let mut count = 0;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let word_end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let (token, after) = if word_end > 0 {
            rest.split_at(word_end)
        } else {
            let two = ["<>", "<=", ">="].into_iter().any(|operator| rest.starts_with(operator));
            rest.split_at(if two { 2 } else { first.len_utf8() })
        };
        rest = after;
        count += usize::from(match token {
            "=" => !is_update,
            "<>" | "<" | "<=" | ">" | ">=" | "+" | "-" => true,
            word if ["AND", "OR", "NOT", "BETWEEN", "IN"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) => {
                true
            }
            word => word.starts_with(|c: char| c.is_ascii_alphabetic()) && after.trim_start().starts_with('('),
        });
    }
    count
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '#' | '.')
}

/// The longest operand list of an `IN`.
fn in_operands(expression: &str) -> usize {
    let upper = expression.to_ascii_uppercase();
    let lists = upper.split(" IN").skip(1).filter_map(|tail| tail.trim_start().strip_prefix('('));
    lists.map(|list| list.split(')').next().map_or(0, |list| list.split(',').count())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operators_are_counted_as_aws_documents_them() {
        assert_eq!(operators("SET a = :val1 + :val2 + :val3", true), 2);
        assert_eq!(operators("attribute_not_exists(#a) AND #b = :old", false), 3);
        assert_eq!(operators("#a <> :a OR NOT size(#b) >= :n", false), 5);
        assert_eq!(operators("a BETWEEN :x AND :y", false), 2);
        assert_eq!(operators("SET #a = if_not_exists(#a, :zero)", true), 1);
    }

    #[test]
    fn three_hundred_operators_pass_and_one_more_fails() {
        let condition = |comparisons: usize| vec!["#a=:v"; comparisons].join(" OR ");
        let request = |text: String| json!({"TransactItems": [{"Update": {"ConditionExpression": text}}]});
        assert_eq!(check(&request(condition(150))), Ok(()));
        assert!(check(&request(format!("{} OR NOT #a=:v", condition(150)))).is_err());
    }

    #[test]
    fn long_expressions_long_lists_and_long_transactions_fail() {
        let list = vec![":v"; 101].join(",");
        assert!(check(&json!({"FilterExpression": format!("#a IN ({list})")})).is_err());
        assert!(check(&json!({"ConditionExpression": " ".repeat(4097)})).is_err());
        assert!(check(&json!({"TransactItems": vec![json!({"Put": {}}); 101]})).is_err());
        assert_eq!(check(&json!({"TransactItems": vec![json!({"Put": {}}); 100]})), Ok(()));
    }
}

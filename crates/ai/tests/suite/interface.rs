//! What clients of this interface send, and what they are answered.

use std::sync::Arc;

use serde_json::{Value, json};
use skylift_ai::{Limits, Mock, Models, Spent};

use super::support::{Platform, clock, exchange};

/// What is the same each time.
fn without_durations(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_duration"));
    answer
}

#[tokio::test]
async fn an_answer_at_once_has_all_that_clients_read() {
    let platform = Platform::mock().await;
    let ask = json!({ "model": "mock", "prompt": "Why is the sky blue?", "stream": false });
    let answer = platform.post("/api/generate", &ask).await;
    assert!(answer.status == 200 && answer.head.contains("content-type: application/json"), "{answer:?}");
    let told = answer.json();
    assert_eq!(told["model"], "mock");
    assert_eq!(told["created_at"], "2023-11-14T22:13:20.000Z");
    assert!(told["response"].as_str().unwrap().starts_with("You said: Why is the sky blue?."), "{told}");
    assert_eq!((&told["done"], &told["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!(told["prompt_eval_count"], 6);
    let count = told["eval_count"].as_u64().unwrap();
    assert_eq!(told["context"].as_array().unwrap().len() as u64, 6 + count);
    for name in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        assert!(told[name].is_u64(), "{name}: {told}");
    }
    let again = platform.post("/api/generate", &ask).await.json();
    assert_eq!(without_durations(told), without_durations(again));
    let spent = Spent { requests: 1, prompt_tokens: 6, completion_tokens: count };
    assert_eq!(platform.told.count(2).await, [spent, spent]);
}

#[tokio::test]
async fn pieces_are_lines_and_together_the_same_answer() {
    let platform = Platform::mock().await;
    let messages = json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello!" }]);
    let whole = json!({ "model": "mock:latest", "messages": messages, "stream": false });
    let whole = platform.post("/api/chat", &whole).await.json();
    assert_eq!(whole["message"]["role"], "assistant");
    let streamed = platform.post("/api/chat", &json!({ "model": "mock:latest", "messages": messages })).await;
    assert!(streamed.head.contains("content-type: application/x-ndjson"), "{}", streamed.head);
    let lines = streamed.lines();
    let (last, pieces) = lines.split_last().unwrap();
    assert!(pieces.iter().all(|piece| piece["done"] == false && piece["message"]["role"] == "assistant"));
    let text: String = pieces.iter().map(|piece| piece["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(text, whole["message"]["content"]);
    assert_eq!((&last["done"], &last["eval_count"]), (&json!(true), &json!(pieces.len())));
    assert_eq!(last["message"]["content"], "");
    assert!(last.get("context").is_none(), "{last}");
}

#[tokio::test]
async fn options_are_honoured() {
    let platform = Platform::mock().await;
    let ask = async |options: Value| {
        let ask = json!({ "model": "mock", "prompt": "Count to ten", "stream": false, "options": options });
        let told = platform.post("/api/generate", &ask).await.json();
        let text = told["response"].as_str().unwrap().to_owned();
        (text, told["done_reason"].as_str().unwrap().to_owned(), told["eval_count"].as_u64().unwrap())
    };
    let (usual, reason, _) = ask(json!({})).await;
    assert_eq!(reason, "stop");
    let (short, reason, count) = ask(json!({ "num_predict": 5 })).await;
    assert_eq!((reason.as_str(), count), ("length", 5));
    assert!(usual.starts_with(&short));
    let (stopped, reason, _) = ask(json!({ "stop": ["nothing like it", "Count"] })).await;
    assert_eq!((stopped.as_str(), reason.as_str()), ("You said: ", "stop"));
    let seeded = ask(json!({ "seed": 7 })).await.0;
    assert_ne!(seeded, usual);
    assert_eq!(seeded, ask(json!({ "seed": 7 })).await.0);
    assert_ne!(seeded, ask(json!({ "seed": 8 })).await.0);
    let wrong = json!({ "model": "mock", "prompt": "x", "options": { "num_predict": "ten" } });
    assert!(platform.post("/api/generate", &wrong).await.error().1.starts_with("`options`"));
}

#[tokio::test]
async fn what_was_said_before_counts() {
    let platform = Platform::mock().await;
    let ask = async |fields: Value| {
        let mut ask = json!({ "model": "mock", "prompt": "And then?", "stream": false });
        ask.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        platform.post("/api/generate", &ask).await.json()
    };
    let first = ask(json!({})).await;
    let second = ask(json!({ "context": first["context"] })).await;
    assert_ne!(first["response"], second["response"]);
    let known = first["context"].as_array().unwrap().len() as u64;
    assert_eq!(second["prompt_eval_count"].as_u64().unwrap(), first["prompt_eval_count"].as_u64().unwrap() + known);
    assert_ne!(ask(json!({ "system": "Be brief." })).await["response"], first["response"]);
    let formatted = ask(json!({ "format": "json" })).await;
    let object: Value = serde_json::from_str(formatted["response"].as_str().unwrap()).unwrap();
    assert!(object["answer"].is_string());
}

#[tokio::test]
async fn a_model_is_loaded_and_let_go_without_a_word() {
    let platform = Platform::mock().await;
    for (path, ask, reason) in [
        ("/api/generate", json!({ "model": "mock", "stream": false }), "load"),
        ("/api/generate", json!({ "model": "mock", "stream": false, "keep_alive": 0 }), "unload"),
        ("/api/chat", json!({ "model": "mock", "stream": false, "messages": [] }), "load"),
    ] {
        let told = platform.post(path, &ask).await.json();
        assert_eq!((&told["done_reason"], &told["done"]), (&json!(reason), &json!(true)), "{told}");
        assert!(told.get("eval_count").is_none(), "{told}");
    }
}

#[tokio::test]
async fn vectors_come_in_both_forms() {
    let platform = Platform::mock().await;
    let told = platform.post("/api/embed", &json!({ "model": "mock", "input": ["one", "the sky"] })).await.json();
    let vectors = told["embeddings"].as_array().unwrap();
    assert_eq!((vectors.len(), vectors[0].as_array().unwrap().len()), (2, 384));
    assert_eq!((&told["model"], &told["prompt_eval_count"]), (&json!("mock"), &json!(3)));
    let one = platform.post("/api/embed", &json!({ "model": "mock", "input": "one" })).await.json();
    assert_eq!(one["embeddings"][0], vectors[0]);
    let older = platform.post("/api/embeddings", &json!({ "model": "mock", "prompt": "one" })).await.json();
    assert_eq!(older["embedding"], vectors[0]);
    let wrong = platform.post("/api/embed", &json!({ "model": "mock", "input": 7 })).await;
    assert!(wrong.error().1.starts_with("invalid input type"));
    let many = json!({ "model": "mock", "input": vec!["x"; 513] });
    assert_eq!(platform.post("/api/embed", &many).await.status, 400);
    let prompts: Vec<u64> = platform.told.count(3).await.iter().map(|spent| spent.prompt_tokens).collect();
    assert_eq!(prompts[..3], [3, 1, 1]);
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let models = Models::new(["small", "large:70b"]);
    let engine = Arc::new(Mock::new(&models, clock()));
    let platform = Platform::start(engine, models, Limits::default()).await;
    let list = platform.get("/api/tags").await.json();
    let names: Vec<&str> = list["models"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["small:latest", "large:70b"]);
    for name in ["digest", "size", "modified_at", "details", "model"] {
        assert!(list["models"][0].get(name).is_some(), "{name}: {list}");
    }
    for field in ["model", "name"] {
        let shown = platform.post("/api/show", &json!({ field: "small" })).await.json();
        assert_eq!(shown["capabilities"], json!(["completion", "embedding"]));
        assert_eq!(shown["details"]["family"], "mock");
    }
    assert!(platform.get("/api/version").await.json()["version"].is_string());
    assert_eq!(platform.get("/").await.status, 200);
    let unknown = platform.post("/api/generate", &json!({ "model": "large", "prompt": "x" })).await;
    assert_eq!(unknown.error(), (404, "model 'large' not found".to_owned()));
    assert!(platform.told.all().is_empty(), "what is refused costs nothing");
}

#[tokio::test]
async fn what_is_wrong_is_told_as_clients_know_it() {
    let platform = Platform::mock().await;
    let ask = async |method: &str, path: &str, body: &str| exchange(platform.address, method, path, body).await.error();
    assert_eq!(ask("POST", "/api/generate", "").await, (400, "missing request body".to_owned()));
    assert_eq!(ask("POST", "/api/chat", "{}").await, (400, "model is required".to_owned()));
    assert_eq!(ask("POST", "/api/show", r#"{"model":"x"}"#).await, (404, "model 'x' not found".to_owned()));
    for body in ["[]", "{", "model=x"] {
        let (status, message) = ask("POST", "/api/generate", body).await;
        assert!(status == 400 && message.starts_with("the body is no JSON object"), "{message}");
    }
    let role = r#"{"model":"mock","messages":[{"role":"oracle","content":"?"}]}"#;
    assert_eq!(ask("POST", "/api/chat", role).await.0, 400);
    assert_eq!(ask("GET", "/api/generate", "").await.0, 405);
    for path in ["/api/pull", "/api/delete", "/v1/apps", "/api", "/api/generate/x", "/api/../v1/apps"] {
        let (status, message) = ask("POST", path, "{}").await;
        assert!(status == 404 && message.contains("/api/chat"), "{path}: {message}");
    }
}

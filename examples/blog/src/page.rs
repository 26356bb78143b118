//! What the blog has to say.

/// A post.
pub(crate) struct Post {
    title: &'static str,
    date: &'static str,
    text: &'static str,
}

/// All posts, newest first.
pub(crate) const POSTS: [Post; 3] = [
    Post {
        title: "Two programs, one address",
        date: "2025-03-14",
        text: "A proxy and this blog share a network namespace: they meet on 127.0.0.1, \
               and nobody else can reach this port.",
    },
    Post {
        title: "The smallest program of all",
        date: "2025-02-28",
        text: "It waits. While it waits the pod has an address, whatever else starts, fails or \
               is replaced.",
    },
    Post { title: "Hello", date: "2025-02-01", text: "This page is served from inside a pod." },
];

/// The front page.
pub(crate) fn front() -> String {
    let posts: String = POSTS
        .iter()
        .map(|Post { title, date, text }| {
            format!(
                "<article>\n<h2>{title}</h2>\n<p><time>{date}</time></p>\n<p>{text}</p>\n</article>\n"
            )
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>A blog in a pod</title>\n</head>\n<body>\n<h1>A blog in a pod</h1>\n\
         {posts}</body>\n</html>\n"
    )
}

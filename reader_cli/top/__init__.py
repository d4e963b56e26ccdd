"""`reader top`: `board` and `view` are what is known and what is shown of it, pure; `drawing` makes pictures of them;
`terminal` has the screen and the keys; `feeds` asks the server in the background; `app` ties them together."""

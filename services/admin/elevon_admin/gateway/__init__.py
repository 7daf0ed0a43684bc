"""The calls of admin over HTTP, as `http.yaml` beside this module says; nothing here knows what a call does."""

"""What can be asked over HTTP: OpenAI's audio API, jobs, health."""

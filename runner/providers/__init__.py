"""Clients of models behind the OpenAI protocol: addresses and keys, a bounded client, a log of replies, judging."""

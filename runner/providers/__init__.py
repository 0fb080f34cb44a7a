"""Models that are asked over the OpenAI protocol: addresses and keys, a client with bounds, a log of replies, judging."""

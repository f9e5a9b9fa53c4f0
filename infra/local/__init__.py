"""The local stack: Kafka, PostgreSQL, Redis and the product's processes on one machine, without Docker."""

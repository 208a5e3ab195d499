.PHONY: kafka-up kafka-down
kafka-up: ## start a Kafka broker (the real one, by Maven) and leave it running; prints its address
	@tools/kafka/broker.py start $(BUILD)/kafka

kafka-down: ## stop the broker of make kafka-up
	@tools/kafka/broker.py stop $(BUILD)/kafka

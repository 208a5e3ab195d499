.PHONY: kafka-up kafka-down quickstart-kafka
quickstart-kafka: deps ## as make quickstart, from Kafka to Kafka with a real broker
	@$(MAKE) --no-print-directory build $(BUILD)/bench/generate_text
	@tools/quickstart-kafka.sh

kafka-up: ## start a Kafka broker (the real one, by Maven) and leave it running; prints its address
	@tools/kafka/broker.py start $(BUILD)/kafka

kafka-down: ## stop the broker of make kafka-up
	@tools/kafka/broker.py stop $(BUILD)/kafka

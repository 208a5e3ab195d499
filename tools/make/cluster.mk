.PHONY: quickstart up down
quickstart: deps ## install what is missing, build, count words on a cluster, kill a worker, compare
	@$(MAKE) --no-print-directory build $(BUILD)/bench/generate_text
	@tools/quickstart.sh

up: build ## start a cluster of one JobManager and two TaskManagers and leave it running
	@tools/cluster.sh start 2
	@echo "REST: http://127.0.0.1:8081/overview; stop it with: make down"

down: ## stop the cluster of make up
	@tools/cluster.sh stop

.PHONY: test-docker
test-docker: ## the image and deploy/docker-compose.yml on a real dockerd (root)
	deploy/test_docker.sh

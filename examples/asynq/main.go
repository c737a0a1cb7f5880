// An Asynq server.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

type order struct {
	Order    int    `json:"order"`
	Currency string `json:"currency"`
	Amount   int    `json:"amount"`
}

func charge(_ context.Context, task *asynq.Task) error {
	var found order
	if err := json.Unmarshal(task.Payload(), &found); err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond)
	fmt.Printf("charged order %d: %d %s\n", found.Order, found.Amount, found.Currency)
	return nil
}

func main() {
	url := os.Getenv("REDIS_URL")
	if url == "" {
		url = "redis://localhost:6379/0"
	}
	connection, err := asynq.ParseRedisURI(url)
	if err != nil {
		log.Fatal(err)
	}
	link, err := redis.ParseURL(url)
	if err != nil {
		log.Fatal(err)
	}
	server := asynq.NewServer(connection, asynq.Config{Concurrency: 5, Queues: map[string]int{"shop": 1}})
	mux := asynq.NewServeMux()
	mux.HandleFunc("charge", charge)
	mux.Use(TellPlg(redis.NewClient(link))) // tells plg when each task was started and done
	if err := server.Run(mux); err != nil {
		log.Fatal(err)
	}
}

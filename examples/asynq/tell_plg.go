package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

func TellPlg(rdb *redis.Client) asynq.MiddlewareFunc {
	host, _ := os.Hostname()
	who := fmt.Sprintf("%s:%d", host, os.Getpid())
	now := func() string { return fmt.Sprintf("%.6f", float64(time.Now().UnixMicro())/1e6) }
	return func(next asynq.Handler) asynq.Handler {
		return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
			started := now()
			err := next.ProcessTask(ctx, task)
			finished, end := now(), "done"
			id, known := asynq.GetTaskID(ctx)
			run, _ := asynq.GetRetryCount(ctx)
			if most, _ := asynq.GetMaxRetry(ctx); err != nil && run >= most {
				end = "failed"
			} else if err != nil {
				end = "retry"
			}
			if known && len(id) == 36 {
				go rdb.Do(context.Background(), "XADD", "plg:far:"+id[:24], "NOMKSTREAM", "*", "id", id,
					"s", started, "f", finished, "end", end, "n", run+1, "w", who, "t", now())
			}
			return err
		})
	}
}

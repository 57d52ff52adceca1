// SPDX-License-Identifier: Apache-2.0

// Writes into etcd what comes on standard input, each line as one change with a revision of its own, as the API server
// does it: watches can be resumed between any two. (A transaction would be one revision for all that is in it.)
//
//	etcd-put ENDPOINT
//
// A line is KEY, a tab and the value; without a value the key is deleted. Changes of one key are made in their order,
// those of different keys at the same time. A line "." is answered with "." when all before it is done.
package main

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	writers  = 16
	patience = 30 * time.Second
	longest  = 4 << 20 // bytes of a line
)

type change struct{ key, value string }

func write(client *clientv3.Client, c change) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if c.value == "" {
		_, err := client.Delete(ctx, c.key)
		return err
	}
	_, err := client.Put(ctx, c.key, c.value)
	return err
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: etcd-put ENDPOINT")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: os.Args[1:], DialTimeout: patience})
	if err != nil {
		log.Fatal(err)
	}
	var pending sync.WaitGroup
	var queues [writers]chan change
	for i := range queues {
		queues[i] = make(chan change, 64)
		go func() {
			for c := range queues[i] {
				if err := write(client, c); err != nil {
					log.Fatal(err)
				}
				pending.Done()
			}
		}()
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, longest)
	for lines.Scan() {
		if lines.Text() == "." {
			pending.Wait()
			fmt.Println(".")
			continue
		}
		key, value, _ := strings.Cut(lines.Text(), "\t")
		hash := fnv.New32()
		hash.Write([]byte(key))
		pending.Add(1)
		queues[hash.Sum32()%writers] <- change{key, value}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	pending.Wait()
}

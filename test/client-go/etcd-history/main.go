// Command etcd-history writes the changes below a prefix as etcd itself has them,
// in order: the truth that what a client saw is judged by.
//
// With -watchers it writes instead, for each of them, the events that these changes must become (expect.go);
// with -state, what existed at -to-revision.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type change struct {
	Type            string `json:"type"` // put or delete
	Key             string `json:"key"`
	ModRevision     int64  `json:"modRevision"`               // of a delete: the delete's own
	CreateRevision  int64  `json:"createRevision"`            // of a delete: that of what was deleted
	PrevModRevision int64  `json:"prevModRevision,omitempty"` // absent if the key did not exist
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("etcd-history: ")
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "etcd endpoints, comma separated")
	prefix := flag.String("prefix", "/registry/pods/", "keys to show")
	from := flag.Int64("from-revision", 1, "first revision")
	to := flag.Int64("to-revision", 0, "last revision; 0 is the current one")
	watchersFile := flag.String("watchers", "", "write what these watchers must see, into -out")
	outDir := flag.String("out", "", "with -watchers: the folder; each file is appended to")
	state := flag.Bool("state", false, "write key, modRevision and digest of what existed at -to-revision")
	timeout := flag.Duration("timeout", 2*time.Minute, "fail after this time")
	flag.Parse()
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*endpoints, ","), DialTimeout: 10 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	now, err := client.Get(ctx, *prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		log.Fatal(err)
	}
	if *to == 0 {
		*to = now.Header.Revision
	}
	if *to > now.Header.Revision {
		log.Fatalf("revision %d is in the future: etcd is at %d", *to, now.Header.Revision)
	}
	if *state {
		writeState(ctx, client, *prefix, *to)
		return
	}
	var expected *expectation
	if *watchersFile != "" {
		expected = newExpectation(*watchersFile, *outDir, *prefix)
	}
	// A watch has no end. The last revision may have changed other keys only, so that no
	// event tells when it is reached: keep asking how far the watch has got.
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	watch := client.Watch(clientv3.WithRequireLeader(ctx), *prefix, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(*from), clientv3.WithCreatedNotify())
	ask := time.NewTicker(100 * time.Millisecond)
	defer ask.Stop()
	for done := false; !done; {
		select {
		case <-ask.C:
			if err := client.RequestProgress(clientv3.WithRequireLeader(ctx)); err != nil {
				log.Fatal(err)
			}
			continue
		case response, open := <-watch:
			if !open {
				log.Fatal("the watch ended: ", ctx.Err())
			}
			if err := response.Err(); err != nil {
				log.Fatalf("%v (compact revision %d)", err, response.CompactRevision)
			}
			if response.IsProgressNotify() && response.Header.Revision >= *to {
				done = true
			}
			for _, e := range response.Events {
				if e.Kv.ModRevision > *to {
					done = true
					break
				}
				if expected != nil {
					expected.add(e)
					continue
				}
				c := change{"put", string(e.Kv.Key), e.Kv.ModRevision, e.Kv.CreateRevision, 0}
				if e.PrevKv != nil {
					c.PrevModRevision = e.PrevKv.ModRevision
				}
				if e.Type == clientv3.EventTypeDelete {
					c.Type = "delete"
					if e.PrevKv != nil {
						c.CreateRevision = e.PrevKv.CreateRevision
					}
				}
				if err := encoder.Encode(c); err != nil {
					log.Fatal(err)
				}
			}
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
	if expected != nil {
		expected.close()
	}
}

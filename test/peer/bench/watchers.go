package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// opened is a set of open watches that are read and discarded.
type opened struct {
	cancel        context.CancelFunc
	wg            sync.WaitGroup
	bytes, events atomic.Int64
	ended         atomic.Int64
}

// openWatches opens n watches of pods, streams to a connection (over HTTP/2; over HTTP/1.1 each has its own).
func openWatches(n, streams int, accept string, selector func(i int) url.Values) *opened {
	ctx, cancel := context.WithCancel(context.Background())
	o := &opened{cancel: cancel}
	rv := currentRV()
	gate := make(chan struct{}, 64)
	var ready sync.WaitGroup
	var cl *http.Client
	for i := range n {
		if i%streams == 0 {
			cl = newClient()
		}
		mine := cl
		ready.Add(1)
		o.wg.Go(func() {
			q := selector(i)
			q.Set("watch", "1")
			q.Set("resourceVersion", rv)
			r, err := http.NewRequestWithContext(ctx, "GET", *base+"/api/v1/pods?"+q.Encode(), nil)
			if err != nil {
				log.Fatal(err)
			}
			r.Header.Set("Accept", "application/json")
			if accept == "protobuf" {
				r.Header.Set("Accept", protobufType+";stream=watch")
			}
			gate <- struct{}{}
			resp, err := mine.Do(r)
			<-gate
			if err != nil {
				log.Fatalf("watch %d: %v", i, err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
				log.Fatalf("watch %d: %s: %s", i, resp.Status, b)
			}
			ready.Done()
			w := &watcher{bytesTotal: &o.bytes, eventsTotal: &o.events}
			w.run(resp.Body, accept == "protobuf", false)
			if ctx.Err() == nil {
				o.ended.Add(1)
			}
		})
	}
	ready.Wait()
	return o
}

func (o *opened) close() {
	o.cancel()
	o.wg.Wait()
}

// measureIdle holds n watches to which nothing happens.
func measureIdle(n, streams int, d time.Duration) row {
	nothing := func(int) url.Values {
		return url.Values{"fieldSelector": {"spec.nodeName=no-such-node"}}
	}
	openWatches(1, 1, "json", nothing).close() // what is loaded at the first watch belongs to no watcher
	before, _ := memMiB(*pid)
	cpu := cpuSeconds(*pid)
	o := openWatches(n, streams, "json", nothing)
	opening := cpuSeconds(*pid) - cpu
	m := startMeter()
	time.Sleep(d)
	server, _, _, wall := m.stop()
	after, _ := memMiB(*pid)
	held := float64(n) - float64(o.ended.Load())
	o.close()
	r := row{Name: fmt.Sprintf("idle W=%d streams=%d", n, streams)}
	r.set("held", held)
	r.set("KB/watcher", max(after-before, 0)*1048576/1e3/float64(n))
	r.set("open server CPU us/watcher", opening/float64(n)*1e6)
	r.set("held server CPU ms/s", server/wall*1e3)
	r.set("RSS MiB before", before)
	r.set("RSS MiB held", after)
	return r
}

// measureSelectors changes pods under n watches, each with its own selector. By
// node, watch i selects node i, so that at most one sees a change. By label, the
// first hundred select an app each, so that one sees a change; all the others
// demand a label besides that no pod has.
func measureSelectors(n, streams int, kind, rate, load string, d time.Duration) row {
	o := openWatches(n, streams, "json", func(i int) url.Values {
		switch {
		case kind == "node":
			return url.Values{"fieldSelector": {fmt.Sprintf("spec.nodeName=node-%05d.example.internal", i)}}
		case i < 100:
			return url.Values{"labelSelector": {fmt.Sprintf("app=app-%02d", i)}}
		}
		return url.Values{"labelSelector": {fmt.Sprintf("app=app-%02d,instance=i-%05d", i%100, i)}}
	})
	defer o.close()
	time.Sleep(settle)
	m := startMeter()
	written := churn(load, rate, d)
	time.Sleep(settle)
	server, etcd, self, _ := m.stop()
	r := row{Name: fmt.Sprintf("selector %s W=%d rate=%s", kind, n, rate)}
	r.set("writes/s", written.Rate)
	r.set("events/change", float64(o.events.Load())/float64(max(written.Puts, 1)))
	r.setCPU("us/change", 1e6, float64(max(written.Puts, 1)), server, etcd, self)
	r.set("ended watches", float64(o.ended.Load()))
	return r
}

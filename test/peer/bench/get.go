package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// podPaths returns the paths of up to limit pods.
func podPaths(limit int) (paths []string) {
	resp, err := client.Get(fmt.Sprintf("%s/api/v1/pods?limit=%d", *base, limit))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var l struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		log.Fatal(err)
	}
	for _, i := range l.Items {
		paths = append(paths, "/api/v1/namespaces/"+i.Metadata.Namespace+"/pods/"+i.Metadata.Name)
	}
	if len(paths) == 0 {
		log.Fatal("there are no pods")
	}
	return
}

// measureGet reads single pods from c connections, each with one request at a time.
func measureGet(c int, accept, rv string, minTime time.Duration) row {
	paths := podPaths(500)
	lats := make([][]float64, c)
	var started, size atomic.Int64
	var wg sync.WaitGroup
	get := func(cl *http.Client, i int) (int64, time.Duration) {
		q := ""
		if rv != "unset" {
			q = "?resourceVersion=" + rv
		}
		r, err := http.NewRequest("GET", *base+paths[i%len(paths)]+q, nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		if accept == "protobuf" {
			r.Header.Set("Accept", protobufType)
		}
		at := time.Now()
		resp, err := cl.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			log.Fatalf("GET %s: %s %v", r.URL, resp.Status, err)
		}
		return n, time.Since(at)
	}
	clients := make([]*http.Client, c)
	for w := range clients {
		clients[w] = newClient()
		get(clients[w], w) // connected before the clock starts
	}
	m, t0 := startMeter(), time.Now()
	for w := range c {
		wg.Go(func() {
			for time.Since(t0) < minTime {
				n, d := get(clients[w], int(started.Add(1)))
				size.Add(n)
				lats[w] = append(lats[w], float64(d)/1e3)
			}
		})
	}
	wg.Wait()
	server, etcd, self, wall := m.stop()
	var all []float64
	for _, l := range lats {
		all = append(all, l...)
	}
	n := float64(len(all))
	r := row{Name: fmt.Sprintf("GET %s rv=%s c=%d", accept, rv, c)}
	r.set("gets", n)
	r.set("B/get", float64(size.Load())/n)
	r.set("p50 us", quantile(all, 0.5))
	r.set("p99 us", quantile(all, 0.99))
	r.set("gets/s", n/wall)
	r.setCPU("us/get", 1e6, n, server, etcd, self)
	return r
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var initialEventsEnd = []byte("k8s.io/initial-events-end")

// bookmarkBytesMax bounds the frames that are searched for the end of the initial events.
const bookmarkBytesMax = 4096

// readInitialEvents reads a stream up to the bookmark that ends the initial events.
func readInitialEvents(body io.Reader, proto bool) (events, size int64, err error) {
	br := bufio.NewReaderSize(body, 256<<10)
	var l [4]byte
	var frame []byte
	for {
		n := 0
		if proto {
			if _, err = io.ReadFull(br, l[:]); err != nil {
				return
			}
			n = int(binary.BigEndian.Uint32(l[:]))
			size += 4
			if n > bookmarkBytesMax {
				if _, err = br.Discard(n); err != nil {
					return
				}
				frame = frame[:0]
			} else {
				frame = slices.Grow(frame[:0], n)[:n]
				if _, err = io.ReadFull(br, frame); err != nil {
					return
				}
			}
		} else {
			if frame, err = br.ReadSlice('\n'); err != nil {
				return
			}
			n = len(frame)
		}
		size += int64(n)
		if n <= bookmarkBytesMax && bytes.Contains(frame, initialEventsEnd) {
			return
		}
		events++
	}
}

// measureWatchList opens n streaming lists of all pods at once, and reads each to the end of its initial events: minRounds
// times, and until minTime is over.
func measureWatchList(n, minRounds int, minTime time.Duration, accept string) row {
	var ends []float64
	var mu sync.Mutex
	var events, size atomic.Int64
	one := func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", *base+
			"/api/v1/pods?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("Accept", "application/json")
		if accept == "protobuf" {
			r.Header.Set("Accept", protobufType+";stream=watch")
		}
		at := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			log.Fatalf("watchlist: %s: %s", resp.Status, b)
		}
		e, b, err := readInitialEvents(resp.Body, accept == "protobuf")
		if err != nil {
			log.Fatalf("watchlist ended before its initial events did: %v", err)
		}
		took := time.Since(at).Seconds() * 1e3
		events.Add(e)
		size.Add(b)
		mu.Lock()
		ends = append(ends, took)
		mu.Unlock()
	}
	before, _ := memMiB(*pid)
	resetPeak(*pid)
	m := startMeter()
	rounds := 0
	for ; rounds < minRounds || time.Since(m.at) < minTime; rounds++ {
		var wg sync.WaitGroup
		for range n {
			wg.Go(one)
		}
		wg.Wait()
	}
	server, etcd, self, wall := m.stop()
	_, peak := memMiB(*pid)
	streams := float64(n * rounds)
	r := row{Name: fmt.Sprintf("watchlist %s n=%d", accept, n)}
	r.set("events/stream", float64(events.Load())/streams)
	r.set("KB/stream", float64(size.Load())/streams/1e3)
	r.set("end p50 ms", quantile(ends, 0.5))
	r.set("end p99 ms", quantile(ends, 0.99))
	r.set("MB/s", float64(size.Load())/wall/1e6)
	r.setCPU("ms/stream", 1e3, streams, server, etcd, self)
	r.set("RSS MiB before", before)
	r.set("peak RSS MiB", peak)
	r.set("grown MiB", max(peak-before, 0))
	return r
}

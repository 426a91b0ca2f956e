package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// tableAccept is what kubectl get asks for.
const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

type cell struct {
	accept, rv, scope string
	gzip              bool
	c                 int
}

func (c cell) String() string {
	z := ""
	if c.gzip {
		z = " gzip"
	}
	return fmt.Sprintf("%s %s rv=%s%s c=%d", c.scope, c.accept, c.rv, z, c.c)
}

// request builds the i-th request of the cell; scopes rotate over ten targets.
func (c cell) request(i int, cont string) *http.Request {
	q, path := url.Values{}, "/api/v1/pods"
	if c.rv != "unset" && cont == "" {
		q.Set("resourceVersion", c.rv)
	}
	switch c.scope {
	case "namespace":
		path = fmt.Sprintf("/api/v1/namespaces/team-%02d/pods", i%10)
	case "label":
		q.Set("labelSelector", fmt.Sprintf("app=app-%02d", i%10))
	case "node":
		q.Set("fieldSelector", fmt.Sprintf("spec.nodeName=node-%05d.example.internal", i%10))
	case "page500":
		q.Set("limit", "500")
		if cont != "" {
			q.Set("continue", cont)
		}
	}
	r, err := http.NewRequest("GET", *base+path+"?"+q.Encode(), nil)
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	switch c.accept {
	case "protobuf":
		r.Header.Set("Accept", protobufType)
	case "table":
		r.Header.Set("Accept", tableAccept)
	}
	if c.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return r
}

var jsonContinue = regexp.MustCompile(`"continue": ?"([^"]*)"`)

// continueToken digs the token out of the first bytes of an uncompressed list.
func continueToken(head []byte) string {
	if !bytes.HasPrefix(head, []byte("k8s\x00")) {
		if m := jsonContinue.FindSubmatch(head); m != nil {
			return string(m[1])
		}
		return ""
	}
	raw := protoField(head[4:], 2)     // runtime.Unknown.raw
	meta := protoField(raw, 1)         // PodList.metadata
	return string(protoField(meta, 3)) // ListMeta.continue
}

// protoField returns the first length-delimited field n, cut short if b is.
func protoField(b []byte, n uint64) []byte {
	for len(b) > 0 {
		tag, k := binary.Uvarint(b)
		if k <= 0 {
			return nil
		}
		b = b[k:]
		v, k := binary.Uvarint(b)
		if k <= 0 {
			return nil
		}
		b = b[k:]
		if tag&7 == 0 {
			continue
		}
		if tag&7 != 2 {
			return nil
		}
		l := min(v, uint64(len(b)))
		if tag>>3 == n {
			return b[:l]
		}
		b = b[l:]
	}
	return nil
}

// drain reads a body to its end, returning its length and its first bytes.
func drain(r io.Reader, buf []byte, head *[]byte) int64 {
	var n int64
	for {
		k, err := r.Read(buf)
		if head != nil && n < 4096 {
			*head = append(*head, buf[:k]...)
		}
		n += int64(k)
		if err == io.EOF {
			return n
		}
		if err != nil {
			log.Fatalf("read: %v", err)
		}
	}
}

// countingReader counts what comes over the wire, before it is inflated.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	k, err := c.r.Read(b)
	c.n += int64(k)
	return k, err
}

// fetch performs one LIST (all pages of it) and returns bytes and requests.
func (c cell) fetch(i int, buf []byte) (n int64, reqs int) {
	cont := ""
	for {
		resp, err := client.Do(c.request(i, cont))
		if err != nil {
			log.Fatal(err)
		}
		if resp.StatusCode != 200 {
			b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			log.Fatalf("%s: %s: %s", c, resp.Status, b)
		}
		var head []byte
		keep := &head
		if c.scope != "page500" {
			keep = nil
		}
		counted := &countingReader{r: resp.Body}
		var body io.Reader = counted
		if keep != nil && resp.Header.Get("Content-Encoding") == "gzip" { // as any client, to learn the token
			if body, err = gzip.NewReader(counted); err != nil {
				log.Fatal(err)
			}
		}
		drain(body, buf, keep)
		n += counted.n
		resp.Body.Close()
		reqs++
		if keep == nil {
			return
		}
		if cont = continueToken(head); cont == "" {
			return
		}
	}
}

func (c cell) measure(minTime time.Duration, minReqs int) row {
	c.warmUp()
	return c.measureWarm(minTime, minReqs)
}

func (c cell) warmUp() { c.fetch(0, make([]byte, 256<<10)) }

func (c cell) measureWarm(minTime time.Duration, minReqs int) row {
	type result struct {
		lat         []float64
		bytes, reqs int64
	}
	results := make([]result, c.c)
	var started atomic.Int64
	var wg sync.WaitGroup
	m, t0 := startMeter(), time.Now()
	for w := range c.c {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				i := int(started.Add(1)) - 1
				if i >= minReqs && i >= c.c && time.Since(t0) >= minTime {
					return
				}
				at := time.Now()
				n, reqs := c.fetch(i, buf)
				r := &results[w]
				r.lat = append(r.lat, time.Since(at).Seconds()*1e3)
				r.bytes += n
				r.reqs += int64(reqs)
			}
		})
	}
	wg.Wait()
	server, etcd, self, dt := m.stop()
	var lat []float64
	var n, reqs int64
	for _, r := range results {
		lat = append(lat, r.lat...)
		n += r.bytes
		reqs += r.reqs
	}
	lists := float64(len(lat))
	r := row{Name: c.String()}
	r.set("lists", lists)
	r.set("KB/list", float64(n)/lists/1e3)
	r.set("p50 ms", quantile(lat, 0.5))
	r.set("p99 ms", quantile(lat, 0.99))
	r.set("lists/s", lists/dt)
	r.set("req/s", float64(reqs)/dt)
	r.set("MB/s", float64(n)/dt/1e6)
	r.setCPU("ms/list", 1e3, lists, server, etcd, self)
	return r
}

// measureChurned measures LISTs while the loader writes at a rate to pods picked over all keys. The first LIST is
// read before that, so that however slow it is, those that count are under writes.
func (c cell) measureChurned(rate, load string, d time.Duration) row {
	c.warmUp()
	written := make(chan churned, 1)
	go func() { written <- churn(load, rate, d) }()
	begun := min(d/10, 300*time.Millisecond)
	time.Sleep(begun)
	r := c.measureWarm(d-2*begun, 1)
	r.Name += " under " + rate + " writes/s"
	r.set("writes/s", (<-written).Rate)
	return r
}

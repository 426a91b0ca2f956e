// Command streams opens and cancels watches of pods, and makes requests, through one client of client-go, and counts the
// connections that it dials. It is told what to do on stdin, one command a line, and answers each with a JSON object a line:
//
//	open N      opens N more watches at once, from where the store is
//	cancel N    cancels the N watches that were opened last, at once
//	seen RV     waits until every open watch has shown an event of that resourceVersion or a later one
//	list N      makes N LISTs of one pod, one after another
//	report      nothing else
//
// It ends with its stdin. client-go's own health checks of the connection (HTTP2_READ_IDLE_TIMEOUT_SECONDS,
// HTTP2_PING_TIMEOUT_SECONDS) are as in any program.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"listwatch.dev/client-go-test/connect"
)

type answer struct {
	Command string `json:"command"`
	// Watches that are open, and that have ended though nobody cancelled them.
	Open  int `json:"open"`
	Ended int `json:"ended"`
	// Events that each open watch has shown: the fewest and the most.
	FewestEvents int64 `json:"fewestEvents"`
	MostEvents   int64 `json:"mostEvents"`
	// Connections that were dialled, and those of them that are open.
	Dialled      int64  `json:"dialled"`
	Connections  int64  `json:"connections"`
	BytesWritten int64  `json:"bytesWritten"`
	Failed       int    `json:"failed,omitempty"`
	Error        string `json:"error,omitempty"`
}

// dialer counts connections, and what is written to them: below TLS, so PINGs count too.
type dialer struct{ dialled, open, written atomic.Int64 }

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.dialled.Add(1)
	d.open.Add(1)
	return &counted{Conn: connection, dialer: d}, nil
}

type counted struct {
	net.Conn
	dialer *dialer
	closed sync.Once
}

func (c *counted) Write(bytes []byte) (int, error) {
	c.dialer.written.Add(int64(len(bytes)))
	return c.Conn.Write(bytes)
}

func (c *counted) Close() error {
	c.closed.Do(func() { c.dialer.open.Add(-1) })
	return c.Conn.Close()
}

type stream struct {
	watch.Interface
	cancelled atomic.Bool
	ended     atomic.Bool
	last      atomic.Uint64
	events    atomic.Int64
	done      chan struct{}
}

type client struct {
	*kubernetes.Clientset
	dialer  dialer
	streams []*stream
}

func (s *stream) follow() {
	defer close(s.done)
	for event := range s.ResultChan() {
		object, ok := event.Object.(metav1.Object)
		if !ok || event.Type == watch.Error {
			if !s.cancelled.Load() {
				log.Printf("%s: %v", event.Type, event.Object)
			}
			continue
		}
		revision, err := strconv.ParseUint(object.GetResourceVersion(), 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		s.last.Store(revision)
		s.events.Add(1)
	}
	s.ended.Store(true)
}

// open needs all of them to have been answered.
func (c *client) open(count int) error {
	list, err := c.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	var opening sync.WaitGroup
	streams, errs := make([]*stream, count), make([]error, count)
	for i := range count {
		opening.Go(func() {
			watcher, err := c.CoreV1().Pods("").Watch(context.Background(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
			if err != nil {
				errs[i] = err
				return
			}
			streams[i] = &stream{Interface: watcher, done: make(chan struct{})}
			go streams[i].follow()
		})
	}
	opening.Wait()
	for i, s := range streams {
		if s == nil {
			return errs[i]
		}
	}
	c.streams = append(c.streams, streams...)
	return nil
}

func (c *client) cancel(count int) error {
	if count > len(c.streams) {
		return fmt.Errorf("only %d watches are open", len(c.streams))
	}
	kept := len(c.streams) - count
	cancelled := c.streams[kept:]
	c.streams = c.streams[:kept]
	for _, s := range cancelled {
		s.cancelled.Store(true)
		go s.Stop()
	}
	for _, s := range cancelled {
		<-s.done
	}
	return nil
}

func (c *client) seen(revision uint64) error {
	giveUp := time.Now().Add(30 * time.Second)
	for _, s := range c.streams {
		for s.last.Load() < revision {
			if time.Now().After(giveUp) {
				return fmt.Errorf("a watch has come to %d only", s.last.Load())
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	return nil
}

func (c *client) list(count int) (failed int, last error) {
	for range count {
		if _, err := c.CoreV1().Pods("").List(context.Background(), metav1.ListOptions{Limit: 1}); err != nil {
			failed, last = failed+1, err
		}
	}
	return failed, last
}

func (c *client) carryOut(command string) answer {
	word, rest, _ := strings.Cut(command, " ")
	number := uint64(0)
	if rest != "" {
		var err error
		if number, err = strconv.ParseUint(rest, 10, 63); err != nil {
			log.Fatalf("%q: %v", command, err)
		}
	}
	result := answer{Command: command}
	var err error
	switch word {
	case "open":
		err = c.open(int(number))
	case "cancel":
		err = c.cancel(int(number))
	case "seen":
		err = c.seen(number)
	case "list":
		result.Failed, err = c.list(int(number))
	case "report":
	default:
		log.Fatalf("unknown command %q: open, cancel, seen, list or report", command)
	}
	if err != nil {
		result.Error = err.Error()
	}
	for i, s := range c.streams {
		if s.ended.Load() {
			result.Ended++
		} else {
			result.Open++
		}
		events := s.events.Load()
		if i == 0 || events < result.FewestEvents {
			result.FewestEvents = events
		}
		result.MostEvents = max(result.MostEvents, events)
	}
	result.Dialled, result.Connections, result.BytesWritten = c.dialer.dialled.Load(), c.dialer.open.Load(), c.dialer.written.Load()
	return result
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("streams: ")
	connection := connect.Register()
	flag.Parse()
	config, err := connection.Config("streams")
	if err != nil {
		log.Fatal(err)
	}
	c := &client{}
	config.Dial = c.dialer.dial
	if c.Clientset, err = kubernetes.NewForConfig(config); err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		if err := out.Encode(c.carryOut(commands.Text())); err != nil {
			log.Fatal(err)
		}
	}
}

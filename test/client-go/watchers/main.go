// Command watchers runs several watches of pods through client-go's RetryWatcher, which resumes after each end
// of a stream from the last resourceVersion it saw, and writes what each delivers into a file of its own:
//
//	ADDED team-0/pod-000 4711 <digest>
//
// On stdout: `ready` once all run. It ends on SIGTERM; it fails when a watch ends for good, which RetryWatcher
// does when the server says that a resourceVersion has expired.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"listwatch.dev/client-go-test/connect"
	"listwatch.dev/client-go-test/digest"
	"listwatch.dev/client-go-test/spec"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// watcherClient makes the client-go client that a watcher asks for.
func watcherClient(w spec.Watcher) (cache.WatcherWithContext, error) {
	flags := connect.Flags{Server: w.Server, Insecure: true, Accept: w.Accept, Http: w.Http}
	config, err := flags.Config("watchers")
	if err != nil {
		return nil, err
	}
	var open func(context.Context, metav1.ListOptions) (watch.Interface, error)
	switch w.Client {
	case "typed":
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		open = client.CoreV1().Pods(w.Namespace).Watch
	case "metadata":
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		open = client.Resource(pods).Namespace(w.Namespace).Watch
	case "dynamic":
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		open = client.Resource(pods).Namespace(w.Namespace).Watch
	default:
		return nil, fmt.Errorf("client %q", w.Client)
	}
	return &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
		options.LabelSelector, options.FieldSelector = w.LabelSelector, w.FieldSelector
		return open(ctx, options)
	}}, nil
}

// follow writes every event into the watcher's file until ctx is done.
func follow(ctx context.Context, w spec.Watcher, from, dir string, running *sync.WaitGroup) error {
	client, err := watcherClient(w)
	if err != nil {
		return err
	}
	out, err := spec.OpenLog(dir, w.Name)
	if err != nil {
		return err
	}
	defer out.Close()
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, from, client)
	if err != nil {
		return err
	}
	running.Done()
	flush := time.NewTicker(100 * time.Millisecond)
	defer flush.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-flush.C:
			if err := out.Flush(); err != nil {
				return err
			}
		case event, open := <-watcher.ResultChan():
			if !open {
				if ctx.Err() != nil {
					return nil
				}
				return errors.New("the watch ended for good")
			}
			if event.Type == watch.Error {
				return fmt.Errorf("ERROR event: %v", event.Object)
			}
			out.Event(string(event.Type), keyOf(event.Object), event.Object.(metav1.Object).GetResourceVersion(), digestOf(w, event.Object))
		}
	}
}

func keyOf(object runtime.Object) string {
	m := object.(metav1.Object)
	return m.GetNamespace() + "/" + m.GetName()
}

func digestOf(w spec.Watcher, object runtime.Object) string {
	if w.Client == "metadata" {
		return digest.Metadata(object)
	}
	return digest.Whole(object)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("watchers: ")
	file := flag.String("watchers", "", "file with a JSON array of watchers")
	from := flag.String("from", "", "resourceVersion to watch from")
	dir := flag.String("out", "", "folder of the files")
	flag.Parse()
	watchers, err := spec.Read(*file)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var running, ended sync.WaitGroup
	failed := make(chan error, len(watchers))
	for _, w := range watchers {
		running.Add(1)
		ended.Go(func() {
			if err := follow(ctx, w, *from, *dir, &running); err != nil {
				failed <- fmt.Errorf("%s: %w", w.Name, err)
				stop()
			}
		})
	}
	go func() {
		running.Wait()
		fmt.Println("ready")
	}()
	ended.Wait()
	close(failed)
	for err := range failed {
		log.Print(err)
		defer os.Exit(1)
	}
}

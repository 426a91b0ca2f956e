// Command informer runs a real client-go SharedInformer against a server and
// writes what it sees: one JSON object a line on stdout.
//
//	{"type":"request", ...}                 every request it sends, so that relists show
//	{"type":"watchError", ...}              what client-go's watch error handler is told
//	{"type":"add"|"update"|"delete", ...}   every call of the event handler, in order
//	{"type":"synced", ...}                  once the initial list has been delivered
//	{"type":"object", ...}                  with -dump: the store's content at the end
//	{"type":"summary", ...}                 the last line
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"listwatch.dev/client-go-test/connect"
	"listwatch.dev/client-go-test/digest"
)

// The built-in kinds that tests follow, and their resources.
var resources = map[string]schema.GroupVersionResource{
	"pods":        {Version: "v1", Resource: "pods"},
	"nodes":       {Version: "v1", Resource: "nodes"},
	"configmaps":  {Version: "v1", Resource: "configmaps"},
	"secrets":     {Version: "v1", Resource: "secrets"},
	"services":    {Version: "v1", Resource: "services"},
	"namespaces":  {Version: "v1", Resource: "namespaces"},
	"events":      {Version: "v1", Resource: "events"},
	"deployments": {Group: "apps", Version: "v1", Resource: "deployments"},
	"leases":      {Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
}

// newInformer makes an informer of the client's own factory; stop waits for its goroutines.
func newInformer(clientKind string, config *rest.Config, resource schema.GroupVersionResource, namespace string, resync time.Duration,
	tweak func(*metav1.ListOptions)) (informer cache.SharedIndexInformer, start func(context.Context), stop func(), err error) {
	switch clientKind {
	case "typed":
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, nil, nil, err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithNamespace(namespace), informers.WithTweakListOptions(tweak))
		generic, err := factory.ForResource(resource)
		if err != nil {
			return nil, nil, nil, err
		}
		return generic.Informer(), factory.StartWithContext, factory.Shutdown, nil
	case "metadata":
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, nil, nil, err
		}
		factory := metadatainformer.NewFilteredSharedInformerFactory(client, resync, namespace, tweak)
		return factory.ForResource(resource).Informer(), func(ctx context.Context) { factory.Start(ctx.Done()) }, factory.Shutdown, nil
	case "dynamic":
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, nil, nil, err
		}
		factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, resync, namespace, tweak)
		return factory.ForResource(resource).Informer(), func(ctx context.Context) { factory.Start(ctx.Done()) }, factory.Shutdown, nil
	}
	return nil, nil, nil, fmt.Errorf("-client %q: typed, metadata or dynamic", clientKind)
}

type entry struct {
	Type               string `json:"type"`
	Key                string `json:"key,omitempty"`
	ResourceVersion    string `json:"resourceVersion,omitempty"`
	OldResourceVersion string `json:"oldResourceVersion,omitempty"`
	Initial            bool   `json:"initial,omitempty"` // an add of the initial list
	Stale              bool   `json:"stale,omitempty"`   // a delete that was missed and found by a relist
	Digest             string `json:"digest,omitempty"`
	MetadataDigest     string `json:"metadataDigest,omitempty"`
	Query              string `json:"query,omitempty"`
	Watch              bool   `json:"watch,omitempty"`
	Status             int    `json:"status,omitempty"`
	Proto              string `json:"proto,omitempty"`
	ContentType        string `json:"contentType,omitempty"`
	Error              string `json:"error,omitempty"`
	Object             any    `json:"object,omitempty"` // with -objects
	Time               string `json:"time"`
}

type summary struct {
	Type                string `json:"type"`
	Objects             int    `json:"objects"`
	Adds                int    `json:"adds"`
	Updates             int    `json:"updates"`
	Deletes             int    `json:"deletes"`
	Lists               int    `json:"lists"`      // without the initial one, a relist
	WatchLists          int    `json:"watchLists"` // likewise, by streaming
	Watches             int    `json:"watches"`
	WatchErrors         int    `json:"watchErrors"`
	LastResourceVersion string `json:"lastResourceVersion"`
}

// recorder writes the lines and remembers what the handler was told.
type recorder struct {
	sync.Mutex
	out  *json.Encoder
	sum  summary
	seen map[string]string // key to resourceVersion
	// Whole objects are written with events.
	objects bool
}

func (r *recorder) write(e entry) {
	r.Lock()
	defer r.Unlock()
	e.Time = time.Now().UTC().Format(time.RFC3339Nano)
	if err := r.out.Encode(e); err != nil {
		log.Fatal(err) // nobody reads any more
	}
	switch e.Type {
	case "add":
		r.sum.Adds++
		r.seen[e.Key] = e.ResourceVersion
	case "update":
		r.sum.Updates++
		r.seen[e.Key] = e.ResourceVersion
	case "delete":
		r.sum.Deletes++
		delete(r.seen, e.Key)
	case "watchError":
		r.sum.WatchErrors++
	}
}

func (r *recorder) OnAdd(o any, initial bool) {
	r.write(entry{Type: "add", Key: keyOf(o), ResourceVersion: version(o), Initial: initial, Object: r.shown(o)})
}

func (r *recorder) OnUpdate(old, o any) {
	r.write(entry{Type: "update", Key: keyOf(o), ResourceVersion: version(o), OldResourceVersion: version(old), Object: r.shown(o)})
}

func (r *recorder) OnDelete(o any) {
	if missed, ok := o.(cache.DeletedFinalStateUnknown); ok {
		r.write(entry{Type: "delete", Key: missed.Key, ResourceVersion: version(missed.Obj), Stale: true})
		return
	}
	r.write(entry{Type: "delete", Key: keyOf(o), ResourceVersion: version(o), Object: r.shown(o)})
}

func (r *recorder) shown(o any) any {
	if r.objects {
		return o
	}
	return nil
}

// wrap records every request.
func (r *recorder) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		e := entry{Type: "request", Query: req.URL.RawQuery, Watch: req.URL.Query().Get("watch") != ""}
		res, err := next.RoundTrip(req)
		if err != nil {
			e.Error = err.Error()
		} else {
			e.Status, e.Proto, e.ContentType = res.StatusCode, res.Proto, res.Header.Get("Content-Type")
		}
		r.write(e)
		r.Lock()
		switch {
		case !e.Watch:
			r.sum.Lists++
		case req.URL.Query().Get("sendInitialEvents") == "true":
			r.sum.WatchLists++
		default:
			r.sum.Watches++
		}
		r.Unlock()
		return res, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// upToDate tells whether the handler has been told everything that is in the store.
func (r *recorder) upToDate(store cache.Store) bool {
	r.Lock()
	defer r.Unlock()
	items := store.List()
	if len(items) != len(r.seen) {
		return false
	}
	for _, o := range items {
		if r.seen[keyOf(o)] != version(o) {
			return false
		}
	}
	return true
}

func (r *recorder) finish(informer cache.SharedIndexInformer, dump bool) {
	items := informer.GetStore().List()
	if dump {
		slices.SortFunc(items, func(a, b any) int {
			if keyOf(a) < keyOf(b) {
				return -1
			}
			return 1
		})
		for _, o := range items {
			e := entry{Type: "object", Key: keyOf(o), ResourceVersion: version(o), MetadataDigest: digest.Metadata(o.(runtime.Object))}
			if _, partial := o.(*metav1.PartialObjectMetadata); !partial {
				e.Digest = digest.Whole(o.(runtime.Object))
			}
			r.write(e)
		}
	}
	r.Lock()
	defer r.Unlock()
	r.sum.Type, r.sum.Objects, r.sum.LastResourceVersion = "summary", len(items), informer.LastSyncResourceVersion()
	r.out.Encode(r.sum)
}

func keyOf(o any) string {
	m := o.(metav1.Object)
	if m.GetNamespace() == "" {
		return m.GetName()
	}
	return m.GetNamespace() + "/" + m.GetName()
}

func version(o any) string {
	if m, ok := o.(metav1.Object); ok {
		return m.GetResourceVersion()
	}
	return ""
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("informer: ")
	connection := connect.Register()
	clientKind := flag.String("client", "typed", "typed, metadata or dynamic")
	resource := flag.String("resource", "pods", "what to watch: the name of a built-in resource, or group/version/resource")
	objects := flag.Bool("objects", false, "write the whole object with each event")
	namespace := flag.String("namespace", "", "one namespace only")
	labels := flag.String("label-selector", "", "")
	fields := flag.String("field-selector", "", "")
	watchList := flag.String("watchlist", "on", "on or off: get the initial list through the watch")
	resync := flag.Duration("resync", 0, "resync period")
	stopAfter := flag.Uint64("stop-after-revision", 0, "stop once this revision has been seen and handled; bookmarks count")
	duration := flag.Duration("duration", 0, "stop after this time at the latest (exit status 3 if -stop-after-revision was not reached)")
	dump := flag.Bool("dump", false, "write the store's content at the end")
	flag.Parse()
	followed, ok := resources[*resource]
	if parts := strings.Split(*resource, "/"); len(parts) == 3 {
		followed = schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}
	} else if !ok {
		log.Fatalf("unknown resource %q", *resource)
	}
	// client-go reads its feature gates from the environment at first use.
	os.Setenv("KUBE_FEATURE_WatchListClient", strconv.FormatBool(*watchList == "on"))
	r := &recorder{out: json.NewEncoder(os.Stdout), seen: map[string]string{}, objects: *objects}
	r.out.SetEscapeHTML(false) // queries are easier to read
	config, err := connection.Config("informer")
	if err != nil {
		log.Fatal(err)
	}
	config.Wrap(r.wrap)
	informer, start, shutdown, err := newInformer(*clientKind, config, followed, *namespace, *resync, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = *labels, *fields
	})
	if err != nil {
		log.Fatal(err)
	}
	informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, reflector *cache.Reflector, err error) {
		r.write(entry{Type: "watchError", Error: err.Error()})
	})
	handler, err := informer.AddEventHandler(r)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *duration)
		defer cancel()
	}
	running, end := context.WithCancel(context.Background())
	start(running)
	synced, reached := false, false
	for ctx.Err() == nil && !reached {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		if !synced && handler.HasSynced() {
			synced = true
			r.write(entry{Type: "synced", ResourceVersion: informer.LastSyncResourceVersion()})
		}
		at, err := strconv.ParseUint(informer.LastSyncResourceVersion(), 10, 64)
		reached = *stopAfter > 0 && synced && err == nil && at >= *stopAfter && r.upToDate(informer.GetStore())
	}
	end()
	shutdown()
	r.finish(informer, *dump)
	if *stopAfter > 0 && !reached {
		fmt.Fprintf(os.Stderr, "informer: revision %d was not reached\n", *stopAfter)
		os.Exit(3)
	}
}

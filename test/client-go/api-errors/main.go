// Command api-errors makes requests that must fail and writes what client-go's own predicates make of each
// failure, one JSON object a line: a controller decides by these, not by the text.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"listwatch.dev/client-go-test/connect"
)

type line struct {
	Name       string   `json:"name"`
	Code       int32    `json:"code"`
	Reason     string   `json:"reason"`
	Message    string   `json:"message"`
	Is         []string `json:"is"` // the predicates of apimachinery that hold
	RetryAfter int      `json:"retryAfter"`
	Streamed   bool     `json:"streamed"` // an ERROR event within a watch
	Continue   bool     `json:"continue"` // the failure brings a token to go on with
	Objects    int      `json:"objects"`  // of what succeeded, or 0
	Seconds    float64  `json:"seconds"`
}

var predicates = []struct {
	name  string
	holds func(error) bool
}{
	{"ResourceExpired", apierrors.IsResourceExpired}, {"Gone", apierrors.IsGone}, {"Timeout", apierrors.IsTimeout},
	{"TooLargeResourceVersion", func(err error) bool { return apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) }},
	{"BadRequest", apierrors.IsBadRequest}, {"Invalid", apierrors.IsInvalid}, {"NotFound", apierrors.IsNotFound},
	{"MethodNotSupported", apierrors.IsMethodNotSupported}, {"InternalError", apierrors.IsInternalError},
	{"UnexpectedObject", func(err error) bool { var e *apierrors.UnexpectedObjectError; return errors.As(err, &e) }},
}

func describe(l *line, err error) {
	l.Is = []string{}
	if err == nil {
		return
	}
	l.Message = err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		l.Code, l.Reason, l.Continue = s.Code, string(s.Reason), s.ListMeta.Continue != ""
	}
	for _, p := range predicates {
		if p.holds(err) {
			l.Is = append(l.Is, p.name)
		}
	}
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		l.RetryAfter = seconds
	}
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("api-errors: ")
	flags := connect.Register()
	compacted := flag.String("compacted", "", "a resourceVersion that etcd has compacted and the server never saw")
	future := flag.String("future", "", "a resourceVersion that will not come")
	first := flag.String("first-key", "", "namespace/name to continue after")
	flag.Parse()
	config, err := flags.Config("api-errors")
	if err != nil {
		log.Fatal(err)
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return once{next} })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	anything, err := dynamic.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out := json.NewEncoder(os.Stdout)
	write := func(l line) {
		if err := out.Encode(l); err != nil {
			log.Fatal(err)
		}
	}
	list := func(name string, options metav1.ListOptions) error {
		l, start := line{Name: name}, time.Now()
		pods, err := client.CoreV1().Pods("").List(ctx, options)
		l.Seconds = time.Since(start).Seconds()
		describe(&l, err)
		if err == nil {
			l.Objects = len(pods.Items)
		}
		write(l)
		return err
	}
	stream := func(name string, options metav1.ListOptions) {
		l, start := line{Name: name}, time.Now()
		options.TimeoutSeconds = ptr(int64(10))
		watcher, err := client.CoreV1().Pods("").Watch(ctx, options)
		describe(&l, err)
		if err == nil {
			for event := range watcher.ResultChan() {
				if event.Type == watch.Error {
					l.Streamed = true
					describe(&l, apierrors.FromObject(event.Object))
				} else {
					l.Objects++
				}
			}
			watcher.Stop()
		}
		l.Seconds = time.Since(start).Seconds()
		write(l)
	}
	token := func(resourceVersion string) string {
		text := fmt.Sprintf(`{"v":"meta.k8s.io/v1","rv":%s,"start":"%s\u0000"}`, resourceVersion, *first)
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}

	list("list not older than the future", metav1.ListOptions{ResourceVersion: *future, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	list("list exactly the future", metav1.ListOptions{ResourceVersion: *future, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	list("list exactly the compacted", metav1.ListOptions{ResourceVersion: *compacted, ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	list("list a page of the compacted", metav1.ListOptions{ResourceVersion: *compacted, Limit: 2})
	list("list not older than the compacted", metav1.ListOptions{ResourceVersion: *compacted})
	expired := list("continue from the compacted", metav1.ListOptions{Limit: 2, Continue: token(*compacted)})
	var status apierrors.APIStatus
	if errors.As(expired, &status) {
		list("continue with the token of the failure", metav1.ListOptions{Limit: 2, Continue: status.Status().ListMeta.Continue})
	}
	list("continue with nonsense", metav1.ListOptions{Limit: 2, Continue: "nonsense"})
	list("continue at a resourceVersion", metav1.ListOptions{Limit: 2, Continue: token("-1"), ResourceVersion: *compacted})
	list("match without resourceVersion", metav1.ListOptions{ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	list("list at a word", metav1.ListOptions{ResourceVersion: "word"})
	list("unknown field", metav1.ListOptions{FieldSelector: "spec.colour=red"})

	single := func(name string, get func() error) {
		l, start := line{Name: name}, time.Now()
		err := get()
		l.Seconds = time.Since(start).Seconds()
		describe(&l, err)
		write(l)
	}
	single("get what is not there", func() error {
		_, err := client.CoreV1().Pods("team-0").Get(ctx, "nobody", metav1.GetOptions{})
		return err
	})
	single("get from the future", func() error {
		_, err := client.CoreV1().Pods("team-0").Get(ctx, "pod-000", metav1.GetOptions{ResourceVersion: *future})
		return err
	})
	single("create", func() error {
		_, err := client.CoreV1().ConfigMaps("team-0").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{})
		return err
	})
	single("delete", func() error { return client.CoreV1().Pods("team-0").Delete(ctx, "pod-000", metav1.DeleteOptions{}) })
	single("list an unknown resource", func() error {
		_, err := anything.Resource(schema.GroupVersionResource{Version: "v1", Resource: "sprockets"}).List(ctx, metav1.ListOptions{})
		return err
	})

	stream("watch from the compacted", metav1.ListOptions{ResourceVersion: *compacted})
	stream("stream a list of the future", metav1.ListOptions{ResourceVersion: *future, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		SendInitialEvents: ptr(true), AllowWatchBookmarks: true})
	stream("initial events without a match", metav1.ListOptions{SendInitialEvents: ptr(true)})
	stream("watch at a word", metav1.ListOptions{ResourceVersion: "word"})
}

// once hides the Retry-After header, by which client-go would repeat a request ten times before it shows the
// failure. The Status says the same in its details.
type once struct{ next http.RoundTripper }

func (o once) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	if err == nil {
		response.Header.Del("Retry-After")
	}
	return response, err
}

func ptr[T any](value T) *T { return &value }

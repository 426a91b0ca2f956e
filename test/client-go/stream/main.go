// Command stream opens one watch of pods with client-go and writes every event, also BOOKMARK and ERROR, as a JSON
// object a line, until the stream ends or SIGTERM. The last line is {"type":"END"}.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"listwatch.dev/client-go-test/connect"
)

type line struct {
	Type            string            `json:"type"`
	Key             string            `json:"key,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	NodeName        string            `json:"nodeName,omitempty"`
	Phase           string            `json:"phase,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	Error           string            `json:"error,omitempty"`
	Seconds         float64           `json:"seconds"` // since the request was sent
}

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("stream: ")
	connection := connect.Register()
	clientKind := flag.String("client", "typed", "typed, metadata or dynamic")
	namespace := flag.String("namespace", "", "one namespace only")
	var options metav1.ListOptions
	flag.StringVar(&options.LabelSelector, "label-selector", "", "")
	flag.StringVar(&options.FieldSelector, "field-selector", "", "")
	flag.StringVar(&options.ResourceVersion, "resource-version", "", "")
	flag.BoolVar(&options.AllowWatchBookmarks, "bookmarks", false, "allowWatchBookmarks")
	initial := flag.Bool("initial-events", false, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
	seconds := flag.Int64("timeout-seconds", 0, "timeoutSeconds, 0 for the server's choice")
	flag.Parse()
	if *initial {
		options.SendInitialEvents, options.ResourceVersionMatch = initial, metav1.ResourceVersionMatchNotOlderThan
	}
	if *seconds != 0 {
		options.TimeoutSeconds = seconds
	}
	config, err := connection.Config("stream")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	start := time.Now()
	watcher, err := open(ctx, *clientKind, *namespace, options, config)
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	write := func(l line) {
		l.Seconds = time.Since(start).Seconds()
		if err := out.Encode(l); err != nil {
			log.Fatal(err)
		}
	}
	write(line{Type: "OPEN"})
	for event := range watcher.ResultChan() {
		if ctx.Err() != nil {
			break // the ERROR that client-go makes of our own end
		}
		write(describe(event))
	}
	write(line{Type: "END"})
}

func describe(event watch.Event) line {
	if event.Type == watch.Error {
		return line{Type: "ERROR", Error: apierrors.FromObject(event.Object).Error()}
	}
	m := event.Object.(metav1.Object)
	l := line{Type: string(event.Type), Key: m.GetNamespace() + "/" + m.GetName(), ResourceVersion: m.GetResourceVersion(), Labels: m.GetLabels(), Annotations: m.GetAnnotations()}
	switch o := event.Object.(type) {
	case *corev1.Pod:
		l.NodeName, l.Phase = o.Spec.NodeName, string(o.Status.Phase)
	case *unstructured.Unstructured:
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod); err != nil {
			log.Fatal(err)
		}
		l.NodeName, l.Phase = pod.Spec.NodeName, string(pod.Status.Phase)
	}
	return l
}

func open(ctx context.Context, clientKind, namespace string, options metav1.ListOptions, config *rest.Config) (watch.Interface, error) {
	switch clientKind {
	case "metadata":
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return client.Resource(pods).Namespace(namespace).Watch(ctx, options)
	case "dynamic":
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return client.Resource(pods).Namespace(namespace).Watch(ctx, options)
	default:
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return client.CoreV1().Pods(namespace).Watch(ctx, options)
	}
}

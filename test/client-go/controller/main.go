// Command controller is a controller as people write them: a controller-runtime manager that reads through its cache and
// writes through the same server. For each ConfigMap labelled mirror=source it keeps another one beside it, NAME-mirror,
// with the same data, and deletes that when its source is gone. It runs until it is told to end, and writes a JSON object
// a line: {"type":"synced"} once its cache is filled, then {"type":"created"|"updated"|"deleted","name":"NAMESPACE/NAME"}.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"listwatch.dev/client-go-test/connect"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	label  = "mirror"
	suffix = "-mirror"
)

type line struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
}

type mirrors struct {
	client.Client
	write func(kind string, key types.NamespacedName)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("controller: ")
	ctrl.SetLogger(logr.Discard())
	flags := connect.Register()
	flag.Parse()
	config, err := flags.Config("controller")
	if err != nil {
		log.Fatal(err)
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme.Scheme,
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		log.Fatal(err)
	}
	var mutex sync.Mutex
	out := json.NewEncoder(os.Stdout)
	write := func(kind string, key types.NamespacedName) {
		mutex.Lock()
		defer mutex.Unlock()
		l := line{Type: kind}
		if key.Name != "" {
			l.Name = key.String()
		}
		if err := out.Encode(l); err != nil {
			log.Fatal(err)
		}
	}
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 2*time.Second)
	err = ctrl.NewControllerManagedBy(manager).
		Named("mirrors").
		Watches(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(sourceOf)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, RateLimiter: limiter}).
		Complete(&mirrors{manager.GetClient(), write})
	if err != nil {
		log.Fatal(err)
	}
	ctx := ctrl.SetupSignalHandler()
	go func() {
		if manager.GetCache().WaitForCacheSync(ctx) {
			write("synced", types.NamespacedName{})
		}
	}()
	if err := manager.Start(ctx); err != nil {
		log.Fatal(err)
	}
}

// sourceOf names the source, whether it or its mirror has changed.
func sourceOf(_ context.Context, object client.Object) []reconcile.Request {
	value := object.GetLabels()[label]
	if value != "source" && value != "copy" {
		return nil
	}
	name := strings.TrimSuffix(object.GetName(), suffix)
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

// Reconcile brings the mirror of one source into the state of its source.
func (m *mirrors) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := types.NamespacedName{Namespace: request.Namespace, Name: request.Name + suffix}
	var source, mirror corev1.ConfigMap
	sourceErr := m.Get(ctx, request.NamespacedName, &source)
	if client.IgnoreNotFound(sourceErr) != nil {
		return reconcile.Result{}, sourceErr
	}
	mirrorErr := m.Get(ctx, key, &mirror)
	if client.IgnoreNotFound(mirrorErr) != nil {
		return reconcile.Result{}, mirrorErr
	}
	isGone := apierrors.IsNotFound(sourceErr) || source.Labels[label] != "source"
	switch {
	case isGone && mirrorErr == nil:
		// Nobody may have made another one of that name meanwhile.
		same := client.Preconditions{UID: &mirror.UID, ResourceVersion: &mirror.ResourceVersion}
		if err := m.Delete(ctx, &mirror, same); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
		m.write("deleted", key)
	case isGone:
	case mirrorErr != nil:
		mirror = corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{label: "copy"}},
			Data:       source.Data,
		}
		if err := m.Create(ctx, &mirror); err != nil {
			return reconcile.Result{}, err
		}
		m.write("created", key)
	case !maps.Equal(source.Data, mirror.Data):
		mirror.Data = source.Data
		if err := m.Update(ctx, &mirror); err != nil {
			return reconcile.Result{}, err
		}
		m.write("updated", key)
	}
	return reconcile.Result{}, nil
}

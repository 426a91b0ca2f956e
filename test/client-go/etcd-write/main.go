// Command etcd-write puts objects into etcd as kube-apiserver stores them: what is stored does not depend on
// the code under test.
//
// By default it reads one step a line on stdin, and writes the revision of each to stdout:
//
//	[{"key": "/registry/pods/a/b", "object": {...}}, ...]    puts, or with no object a delete, at one revision
//
// With -random N it makes N random changes of pods instead and writes one line at the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

var (
	asProtobuf = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	asJSON     = jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, jsonserializer.SerializerOptions{})
)

type change struct {
	Key    string          `json:"key"`
	Object json.RawMessage `json:"object,omitempty"`
}

func encode(object runtime.Object, encoder runtime.Encoder) string {
	bytes, err := runtime.Encode(encoder, object)
	if err != nil {
		log.Fatal(err)
	}
	return string(bytes)
}

func operation(c change) clientv3.Op {
	if c.Object == nil {
		return clientv3.OpDelete(c.Key)
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(c.Object, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	return clientv3.OpPut(c.Key, encode(object, asProtobuf))
}

// commit makes the changes at one revision. While etcd is away it tries again: what etcd applied without
// answering is then applied twice, as etcd's own history says.
func commit(client *clientv3.Client, operations []clientv3.Op) (revision int64, retries int) {
	for giveUp := time.Now().Add(time.Minute); ; retries++ {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		answer, err := client.Txn(ctx).Then(operations...).Commit()
		cancel()
		if err == nil {
			return answer.Header.Revision, retries
		}
		if time.Now().After(giveUp) {
			log.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func script(client *clientv3.Client) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	for in.Scan() {
		var changes []change
		if err := json.Unmarshal(in.Bytes(), &changes); err != nil {
			log.Fatal(err)
		}
		var operations []clientv3.Op
		for _, c := range changes {
			operations = append(operations, operation(c))
		}
		revision, _ := commit(client, operations)
		fmt.Println(revision)
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
}

func ptr[T any](value T) *T { return &value }

func pick[T any](random *rand.Rand, of ...T) T { return of[random.IntN(len(of))] }

// pod i of the random set. Its namespace and name follow from i; all that selectors can look at is drawn.
func pod(random *rand.Rand, i, step int) *corev1.Pod {
	created := metav1.NewTime(time.Date(2026, 3, 1, 8, 0, i, 0, time.UTC))
	labels := map[string]string{"app": pick(random, "web", "db", "queue"), "version": pick(random, "v1", "v2", "v3", "v4")}
	if random.IntN(2) == 0 {
		labels["canary"] = ""
	}
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOf(i), Name: fmt.Sprintf("pod-%03d", i), Labels: labels, CreationTimestamp: created,
			UID:         types.UID(fmt.Sprintf("00000000-0000-4000-a000-%012d", i)),
			Annotations: map[string]string{"example.com/step": fmt.Sprint(step)}},
		Spec: corev1.PodSpec{NodeName: pick(random, "", "node-0", "node-1", "node-2", "node-3"), ServiceAccountName: pick(random, "default", "builder"),
			RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: "default-scheduler",
			TerminationGracePeriodSeconds: ptr(int64(30)), SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: ptr(true),
			PreemptionPolicy: ptr(corev1.PreemptLowerPriority), Priority: ptr(int32(0)),
			Containers: []corev1.Container{{Name: "main", Image: fmt.Sprintf("registry.example.com/app:%d", step%7), ImagePullPolicy: corev1.PullIfNotPresent,
				TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")}}}}},
		Status: corev1.PodStatus{Phase: pick(random, corev1.PodPending, corev1.PodRunning, corev1.PodRunning, corev1.PodSucceeded), QOSClass: corev1.PodQOSBurstable},
	}
	p.Spec.DeprecatedServiceAccount = p.Spec.ServiceAccountName
	return p
}

func namespaceOf(i int) string { return fmt.Sprintf("team-%d", i%5) }
func keyOf(i int) string       { return fmt.Sprintf("/registry/pods/%s/pod-%03d", namespaceOf(i), i) }

type summary struct {
	Puts         int   `json:"puts"`
	Deletes      int   `json:"deletes"`
	Same         int   `json:"same"`    // puts of the bytes that were there
	Grouped      int   `json:"grouped"` // revisions with several changes
	AsJSON       int   `json:"asJSON"`
	Retries      int   `json:"retries"`
	LastRevision int64 `json:"lastRevision"`
	Milliseconds int64 `json:"milliseconds"`
}

// changes makes random changes of `pods` pods, of which about five in six exist at any time.
func changes(client *clientv3.Client, count, pods int, seed uint64, rate float64) summary {
	random := rand.New(rand.NewPCG(seed, 1))
	var sum summary
	stored := map[int]string{}
	existing, err := client.Get(context.Background(), "/registry/pods/", clientv3.WithPrefix())
	if err != nil {
		log.Fatal(err)
	}
	values := map[string]string{}
	for _, kv := range existing.Kvs {
		values[string(kv.Key)] = string(kv.Value)
	}
	for i := range pods {
		if value, ok := values[keyOf(i)]; ok {
			stored[i] = value
		}
	}
	start := time.Now()
	for done := 0; done < count; {
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(float64(done) / rate * float64(time.Second)))))
		}
		size := 1
		if random.IntN(20) == 0 {
			size = 2 + random.IntN(4)
			sum.Grouped++
		}
		var operations []clientv3.Op
		chosen := map[int]bool{}
		for len(chosen) < size {
			i := random.IntN(pods)
			if chosen[i] {
				continue // etcd refuses a key twice in one revision
			}
			chosen[i] = true
			value, exists := stored[i]
			switch dice := random.IntN(100); {
			case exists && dice < 15:
				sum.Deletes++
				delete(stored, i)
				operations = append(operations, clientv3.OpDelete(keyOf(i)))
			case exists && dice < 18:
				sum.Same++
				operations = append(operations, clientv3.OpPut(keyOf(i), value))
			default:
				sum.Puts++
				encoder := runtime.Encoder(asProtobuf)
				if random.IntN(50) == 0 {
					sum.AsJSON++
					encoder = asJSON
				}
				stored[i] = encode(pod(random, i, done), encoder)
				operations = append(operations, clientv3.OpPut(keyOf(i), stored[i]))
			}
		}
		done += size
		revision, retries := commit(client, operations)
		sum.LastRevision, sum.Retries = revision, sum.Retries+retries
	}
	sum.Milliseconds = time.Since(start).Milliseconds()
	return sum
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("etcd-write: ")
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "etcd endpoints, comma separated")
	count := flag.Int("random", 0, "make so many random changes of pods")
	pods := flag.Int("pods", 300, "of so many different pods")
	seed := flag.Uint64("seed", 1, "the same seed makes the same changes")
	rate := flag.Float64("rate", 0, "changes per second, 0 for as fast as possible")
	flag.Parse()
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*endpoints, ","), DialTimeout: 10 * time.Second,
		Logger: zap.NewNop()}) // what fails is tried again, or ends the program
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if *count == 0 {
		script(client)
		return
	}
	json.NewEncoder(os.Stdout).Encode(changes(client, *count, *pods, *seed, *rate))
}

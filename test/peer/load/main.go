// Command load writes a synthetic cluster straight into etcd, encoded as
// kube-apiserver stores it, and can then keep changing it.
//
//go:debug default=go1.26
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	namespaces = 50
	apps       = 100
	// stampAnnotation carries the send time in Unix nanoseconds on updated pods.
	stampAnnotation = "bench.peer/sent"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// gen makes the objects of one cluster; object i depends only on (seed, i).
type gen struct {
	seed        uint64
	pods, nodes int
	padBytes    int // an annotation of this many bytes on every pod
}

func (g gen) rng(kind string, i int) *rand.Rand {
	h := g.seed*0x9e3779b97f4a7c15 + uint64(i)
	for _, c := range kind {
		h = h*1099511628211 ^ uint64(c)
	}
	return rand.New(rand.NewPCG(h, uint64(i)))
}

func hex(r *rand.Rand, n int) string {
	const d = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = d[r.IntN(16)]
	}
	return string(b)
}

func word(r *rand.Rand, n int) string {
	const d = "bcdfghjklmnpqrstvwxz2456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = d[r.IntN(len(d))]
	}
	return string(b)
}

func uid(r *rand.Rand) types.UID {
	return types.UID(hex(r, 8) + "-" + hex(r, 4) + "-4" + hex(r, 3) + "-a" + hex(r, 3) + "-" + hex(r, 12))
}

func stamp(r *rand.Rand) metav1.Time {
	return metav1.NewTime(epoch.Add(time.Duration(r.IntN(90*86400)) * time.Second))
}

func nsName(i int) string            { return fmt.Sprintf("team-%02d", i%namespaces) }
func nodeName(i int) string          { return fmt.Sprintf("node-%05d.example.internal", i) }
func appName(i int) string           { return fmt.Sprintf("app-%02d", i%apps) }
func qty(s string) resource.Quantity { return resource.MustParse(s) }
func ptr[T any](v T) *T              { return &v }

func managed(manager, gv, sub string, t metav1.Time, fieldsJSON string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: gv,
		Subresource: sub, Time: &t, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(fieldsJSON)}}
}

const podSpecFields = `{"f:metadata":{"f:annotations":{".":{},"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{},"f:tier":{},"f:version":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"%s\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:env":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{},"f:resources":{},"f:volumeMounts":{}},"k:{\"name\":\"proxy\"}":{".":{},"f:image":{},"f:name":{},"f:resources":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:volumes":{}}}`
const podStatusFields = `{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{},"f:startTime":{}}}`

func (g gen) pod(i int) *corev1.Pod {
	r := g.rng("pod", i)
	app := r.IntN(apps)
	ns, node := nsName(r.IntN(namespaces)), r.IntN(g.nodes)
	ar := g.rng("replicaset", app)
	hash, owner := word(ar, 9), uid(ar)
	created := stamp(r)
	started := metav1.NewTime(created.Add(4 * time.Second))
	ip := fmt.Sprintf("10.%d.%d.%d", 64+node>>8&63, node&255, i%250+2)
	hostIP := fmt.Sprintf("10.0.%d.%d", node>>8, node&255)
	phase, ready := corev1.PodRunning, corev1.ConditionTrue
	if r.IntN(100) < 3 {
		phase, ready = corev1.PodPending, corev1.ConditionFalse
	}
	image := fmt.Sprintf("registry.example.com/%s/%s:v1.%d.%d", ns, appName(app), ar.IntN(40), ar.IntN(20))
	cond := func(t corev1.PodConditionType, s corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: t, Status: s, LastTransitionTime: started}
	}
	status := func(name, image string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, Image: image, Ready: ready == corev1.ConditionTrue, Started: ptr(true),
			RestartCount: int32(r.IntN(3)), ContainerID: "containerd://" + hex(r, 64),
			ImageID: "registry.example.com/" + appName(app) + "@sha256:" + hex(ar, 64),
			State:   corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}}
	}
	saMount := corev1.VolumeMount{Name: "kube-api-access", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	res := func(cpu, mem string) corev1.ResourceRequirements {
		l := corev1.ResourceList{corev1.ResourceCPU: qty(cpu), corev1.ResourceMemory: qty(mem)}
		return corev1.ResourceRequirements{Requests: l}
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%s-%s", appName(app), hash, fmt.Sprintf("%05d", i)), GenerateName: appName(app) + "-" + hash + "-",
			Namespace: ns, UID: uid(r), CreationTimestamp: created,
			Labels: map[string]string{"app": appName(app), "pod-template-hash": hash, "tier": []string{"frontend", "backend", "batch", "data"}[app%4],
				"version": fmt.Sprintf("v1.%d", ar.IntN(40))},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9090",
				"example.com/config-checksum": hex(r, 64)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: appName(app) + "-" + hash, UID: owner, Controller: ptr(true), BlockOwnerDeletion: ptr(true)}},
			ManagedFields: []metav1.ManagedFieldsEntry{
				managed("kube-controller-manager", "v1", "", created, fmt.Sprintf(podSpecFields, owner)),
				managed("kubelet", "v1", "status", started, podStatusFields)},
		},
		Spec: corev1.PodSpec{
			NodeName: nodeName(node), ServiceAccountName: "default", DeprecatedServiceAccount: "default",
			RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: "default-scheduler",
			TerminationGracePeriodSeconds: ptr(int64(30)), SecurityContext: &corev1.PodSecurityContext{},
			EnableServiceLinks: ptr(true), PreemptionPolicy: ptr(corev1.PreemptLowerPriority), Priority: ptr(int32(0)),
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr(int64(300))},
				{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr(int64(300))}},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: appName(app) + "-config"}, DefaultMode: ptr(int32(420))}}},
				{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: ptr(int32(420)), Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: ptr(int64(3607)), Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}}}}}}},
			Containers: []corev1.Container{
				{Name: "main", Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"serve", "--config=/etc/app/config.yaml", "--listen=:8080"},
					Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
					Env: []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}, {Name: "REGION", Value: "eu-west-1"},
						{Name: "DATABASE_URL", Value: "postgres://db." + ns + ".svc.cluster.local:5432/" + appName(app)},
						{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}}},
					Resources:      res("250m", "256Mi"),
					ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromString("http"), Scheme: "HTTP"}}, TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3},
					VolumeMounts:   []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app"}, saMount}},
				{Name: "proxy", Image: "registry.example.com/mesh/proxy:v1.29.4", ImagePullPolicy: corev1.PullIfNotPresent,
					Resources: res("100m", "128Mi"), VolumeMounts: []corev1.VolumeMount{saMount}}},
		},
		Status: corev1.PodStatus{
			Phase: phase, HostIP: hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}}, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &created, QOSClass: corev1.PodQOSBurstable,
			Conditions:        []corev1.PodCondition{cond(corev1.PodReadyToStartContainers, "True"), cond(corev1.PodInitialized, "True"), cond(corev1.PodReady, ready), cond(corev1.ContainersReady, ready), cond(corev1.PodScheduled, "True")},
			ContainerStatuses: []corev1.ContainerStatus{status("main", image), status("proxy", "registry.example.com/mesh/proxy:v1.29.4")},
		},
	}
}

func (g gen) node(i int) *corev1.Node {
	r := g.rng("node", i)
	created := stamp(r)
	rl := corev1.ResourceList{corev1.ResourceCPU: qty("32"), corev1.ResourceMemory: qty("131072Mi"), corev1.ResourcePods: qty("110"), corev1.ResourceEphemeralStorage: qty("203070420Ki")}
	cond := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: "kubelet: " + reason, LastHeartbeatTime: created, LastTransitionTime: created}
	}
	var images []corev1.ContainerImage
	for n := 25 + r.IntN(15); n > 0; n-- {
		repo := fmt.Sprintf("registry.example.com/%s/%s", nsName(r.IntN(namespaces)), appName(r.IntN(apps)))
		images = append(images, corev1.ContainerImage{Names: []string{repo + "@sha256:" + hex(r, 64), fmt.Sprintf("%s:v1.%d.%d", repo, r.IntN(40), r.IntN(20))}, SizeBytes: int64(r.IntN(1 << 30))})
	}
	ip := fmt.Sprintf("10.0.%d.%d", i>>8, i&255)
	return &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), UID: uid(r), CreationTimestamp: created,
			Labels: map[string]string{"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": nodeName(i),
				"topology.kubernetes.io/zone": "eu-west-1" + string(rune('a'+i%3)), "topology.kubernetes.io/region": "eu-west-1", "node.kubernetes.io/instance-type": "m7.8xlarge"},
			Annotations: map[string]string{"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
			ManagedFields: []metav1.ManagedFieldsEntry{managed("kubelet", "v1", "status", created,
				`{"f:status":{"f:allocatable":{"f:ephemeral-storage":{}},"f:conditions":{"k:{\"type\":\"DiskPressure\"}":{"f:lastHeartbeatTime":{}},"k:{\"type\":\"MemoryPressure\"}":{"f:lastHeartbeatTime":{}},"k:{\"type\":\"PIDPressure\"}":{"f:lastHeartbeatTime":{}},"k:{\"type\":\"Ready\"}":{"f:lastHeartbeatTime":{},"f:lastTransitionTime":{},"f:message":{},"f:reason":{},"f:status":{}}},"f:images":{},"f:nodeInfo":{}}}`)}},
		Spec: corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 64+i>>8&63, i&255), ProviderID: "example:///" + hex(r, 17)},
		Status: corev1.NodeStatus{Capacity: rl, Allocatable: rl, Images: images,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: nodeName(i)}},
			Conditions: []corev1.NodeCondition{cond(corev1.NodeMemoryPressure, "False", "KubeletHasSufficientMemory"), cond(corev1.NodeDiskPressure, "False", "KubeletHasNoDiskPressure"),
				cond(corev1.NodePIDPressure, "False", "KubeletHasSufficientPID"), cond(corev1.NodeReady, "True", "KubeletReady")},
			NodeInfo: corev1.NodeSystemInfo{MachineID: hex(r, 32), SystemUUID: string(uid(r)), BootID: string(uid(r)), KernelVersion: "6.12.30", OSImage: "Debian GNU/Linux 13 (trixie)",
				ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.36.4", OperatingSystem: "linux", Architecture: "amd64"}},
	}
}

func (g gen) lease(i int) *coordinationv1.Lease {
	r := g.rng("lease", i)
	t := stamp(r)
	return &coordinationv1.Lease{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Namespace: "kube-node-lease", UID: uid(r), CreationTimestamp: t,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: nodeName(i), UID: uid(r)}},
			ManagedFields: []metav1.ManagedFieldsEntry{managed("kubelet", "coordination.k8s.io/v1", "", t,
				`{"f:metadata":{"f:ownerReferences":{".":{},"k:{\"uid\":\"`+string(uid(r))+`\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}`)}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr(nodeName(i)), LeaseDurationSeconds: ptr(int32(40)), RenewTime: ptr(metav1.NewMicroTime(t.Time))},
	}
}

func (g gen) meta(r *rand.Rand, name string, i int) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: nsName(i), UID: uid(r), CreationTimestamp: stamp(r), Labels: map[string]string{"app": appName(i), "team": nsName(i)}}
}

func (g gen) configMap(i int) *corev1.ConfigMap {
	r := g.rng("configmap", i)
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: g.meta(r, fmt.Sprintf("config-%05d", i), i),
		Data: map[string]string{"config.yaml": strings.Repeat("setting-"+word(r, 8)+": "+word(r, 20)+"\n", 10+r.IntN(60))}}
}

func (g gen) secret(i int) *corev1.Secret {
	r := g.rng("secret", i)
	return &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: g.meta(r, fmt.Sprintf("secret-%05d", i), i),
		Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"password": []byte(word(r, 32)), "tls.key": []byte(hex(r, 1700))}}
}

func (g gen) service(i int) *corev1.Service {
	r := g.rng("service", i)
	ip := fmt.Sprintf("10.96.%d.%d", i>>8&255, i&255)
	return &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: g.meta(r, fmt.Sprintf("svc-%05d", i), i),
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: ip, ClusterIPs: []string{ip}, Selector: map[string]string{"app": appName(i)}, SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}}}}
}

func (g gen) deployment(i int) *appsv1.Deployment {
	r := g.rng("deployment", i)
	p := g.pod(i % g.pods)
	m := g.meta(r, fmt.Sprintf("deploy-%05d", i), i)
	m.ManagedFields = p.ManagedFields[:1]
	return &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: m,
		Spec: appsv1.DeploymentSpec{Replicas: ptr(int32(10)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Labels["app"]}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec}},
		Status: appsv1.DeploymentStatus{Replicas: 10, ReadyReplicas: 10, AvailableReplicas: 10, UpdatedReplicas: 10}}
}

func (g gen) namespace(i int) *corev1.Namespace {
	name := nsName(i)
	if i == namespaces {
		name = "kube-node-lease"
	}
	r := g.rng("namespace", i)
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid(r), CreationTimestamp: stamp(r), Labels: map[string]string{"kubernetes.io/metadata.name": name}},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
}

func (g gen) padded(pod *corev1.Pod, i int) *corev1.Pod {
	if g.padBytes > 0 {
		pod.Annotations["example.com/padding"] = hex(g.rng("padding", i), g.padBytes)
	}
	return pod
}

// set is one resource: its etcd directory, object count and constructor.
type set struct {
	name, dir string
	count     int
	make      func(int) metav1.Object
}

func (g gen) sets() []set {
	some := g.pods/50 + 50
	return []set{
		{"namespaces", "namespaces", namespaces + 1, func(i int) metav1.Object { return g.namespace(i) }},
		{"nodes", "minions", g.nodes, func(i int) metav1.Object { return g.node(i) }},
		{"leases", "leases", g.nodes, func(i int) metav1.Object { return g.lease(i) }},
		{"configmaps", "configmaps", some, func(i int) metav1.Object { return g.configMap(i) }},
		{"secrets", "secrets", some, func(i int) metav1.Object { return g.secret(i) }},
		{"services", "services/specs", some, func(i int) metav1.Object { return g.service(i) }},
		{"deployments", "deployments", some, func(i int) metav1.Object { return g.deployment(i) }},
		{"pods", "pods", g.pods, func(i int) metav1.Object { return g.padded(g.pod(i), i) }},
	}
}

var codec = protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)

func encode(dir string, o metav1.Object) (key, value string) {
	v, err := runtime.Encode(codec, o.(runtime.Object))
	if err != nil {
		log.Fatal(err)
	}
	key = "/registry/" + dir + "/"
	if ns := o.GetNamespace(); ns != "" {
		key += ns + "/"
	}
	return key + o.GetName(), string(v)
}

// parallel calls f(0..n-1) from w goroutines.
func parallel(w, n int, f func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range w {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

func seed(c *clientv3.Client, g gen, workers int) {
	fmt.Printf("%-12s %8s %12s %12s\n", "resource", "objects", "stored B/obj", "JSON B/obj")
	for _, s := range g.sets() {
		var stored, js, sampled atomic.Int64
		parallel(workers, s.count, func(i int) {
			o := s.make(i)
			k, v := encode(s.dir, o)
			if _, err := c.Txn(context.Background()).If(clientv3.Compare(clientv3.ModRevision(k), "=", 0)).
				Then(clientv3.OpPut(k, v)).Else(clientv3.OpPut(k, v)).Commit(); err != nil {
				log.Fatal(err)
			}
			stored.Add(int64(len(v)))
			if i%50 == 0 {
				b, _ := json.Marshal(o)
				js.Add(int64(len(b)))
				sampled.Add(1)
			}
		})
		fmt.Printf("%-12s %8d %12d %12d\n", s.name, s.count, stored.Load()/int64(s.count), js.Load()/sampled.Load())
	}
}

type churnResult struct {
	Puts   int64   `json:"puts"`
	Rate   float64 `json:"rate"`
	PutP50 float64 `json:"put_p50_ms"`
	PutP99 float64 `json:"put_p99_ms"`
}

// churn updates random objects of the named kinds at rate per second over all
// workers (0: as fast as etcd takes them).
func churn(c *clientv3.Client, g gen, kinds []string, rate float64, d time.Duration, workers int) churnResult {
	var sets []set
	for _, s := range g.sets() {
		if slices.Contains(kinds, s.name) {
			sets = append(sets, s)
		}
	}
	start := time.Now()
	var mu sync.Mutex
	var lat []float64
	var slot atomic.Int64
	parallel(workers, workers, func(w int) {
		r := rand.New(rand.NewPCG(g.seed, uint64(start.UnixNano())+uint64(w)))
		var mine []float64
		for {
			if rate > 0 {
				at := start.Add(time.Duration(float64(slot.Add(1)-1) / rate * float64(time.Second)))
				time.Sleep(time.Until(at))
			}
			if time.Since(start) >= d {
				break
			}
			s := sets[r.IntN(len(sets))]
			o := s.make(r.IntN(s.count))
			now := time.Now()
			switch o := o.(type) {
			case *corev1.Pod:
				o.Annotations[stampAnnotation] = fmt.Sprint(now.UnixNano())
				o.Status.ContainerStatuses[0].RestartCount = int32(r.IntN(1000))
			case *coordinationv1.Lease:
				o.Spec.RenewTime = ptr(metav1.NewMicroTime(now))
			}
			k, v := encode(s.dir, o)
			if _, err := c.Put(context.Background(), k, v); err != nil {
				log.Fatal(err)
			}
			mine = append(mine, float64(time.Since(now))/1e6)
		}
		mu.Lock()
		lat = append(lat, mine...)
		mu.Unlock()
	})
	slices.Sort(lat)
	res := churnResult{Puts: int64(len(lat)), Rate: float64(len(lat)) / time.Since(start).Seconds()}
	if len(lat) > 0 {
		res.PutP50, res.PutP99 = lat[len(lat)/2], lat[len(lat)*99/100]
	}
	return res
}

type readResult struct {
	Keys    int64   `json:"keys"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// readPageKeys is how many keys a page holds, as in a reflector's paged LIST of the store.
const readPageKeys = 10000

// read pages through every resource at one revision, one page after the other, and does nothing
// with what it gets: no server can have filled its caches faster over one connection.
func read(c *clientv3.Client, g gen) (res readResult) {
	start := time.Now()
	for _, s := range g.sets() {
		prefix := "/registry/" + s.dir + "/"
		end, revision := clientv3.GetPrefixRangeEnd(prefix), int64(0)
		for key := prefix; ; {
			page, err := c.Get(context.Background(), key, clientv3.WithRange(end), clientv3.WithLimit(readPageKeys), clientv3.WithRev(revision))
			if err != nil {
				log.Fatal(err)
			}
			for _, kv := range page.Kvs {
				res.Keys++
				res.Bytes += int64(len(kv.Key) + len(kv.Value))
			}
			if !page.More {
				break
			}
			revision, key = page.Header.Revision, string(page.Kvs[len(page.Kvs)-1].Key)+"\x00"
		}
	}
	res.Seconds = time.Since(start).Seconds()
	return res
}

type historyResult struct {
	Creates       int64   `json:"creates"`
	Updates       int64   `json:"updates"`
	Deletes       int64   `json:"deletes"`
	Retries       int64   `json:"retries"`
	FirstRevision int64   `json:"firstRevision"`
	LastRevision  int64   `json:"lastRevision"`
	Seconds       float64 `json:"seconds"`
}

// history creates, updates and deletes random pods, ops times in all, at rate per
// second. Each worker owns its share of the pods, so that it knows which exist;
// that and the order within a share follow from the seed. While etcd is away it
// retries: what etcd applied without answering is applied again, as its own history says.
func history(c *clientv3.Client, g gen, ops int64, rate float64, workers int) historyResult {
	ctx := context.Background()
	var res historyResult
	existing, err := c.Get(ctx, "/registry/pods/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		log.Fatal(err)
	}
	before := map[string]bool{}
	for _, kv := range existing.Kvs {
		before[string(kv.Key)] = true
	}
	res.FirstRevision = existing.Header.Revision + 1
	start := time.Now()
	var slot, creates, updates, deletes, retries, last atomic.Int64
	parallel(workers, workers, func(w int) {
		r := rand.New(rand.NewPCG(g.seed, uint64(w)+1))
		live := map[int]bool{}
		for i := w; i < g.pods; i += workers {
			key, _ := encode("pods", g.pod(i))
			live[i] = before[key]
		}
		for {
			n := slot.Add(1) - 1
			if n >= ops {
				return
			}
			if rate > 0 {
				time.Sleep(time.Until(start.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
			}
			i := r.IntN((g.pods-1-w)/workers+1)*workers + w
			pod := g.pod(i)
			pod.Annotations[stampAnnotation] = fmt.Sprint(time.Now().UnixNano())
			pod.Status.ContainerStatuses[0].RestartCount = int32(r.IntN(1000))
			pod.Labels["version"] = fmt.Sprintf("v2.%d", r.IntN(5)) // so that selectors are entered and left
			key, value := encode("pods", pod)
			counter, op := &updates, clientv3.OpPut(key, value)
			if !live[i] {
				counter = &creates
			} else if r.IntN(100) < 30 {
				counter, op = &deletes, clientv3.OpDelete(key)
			}
			live[i] = !op.IsDelete()
			for {
				attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
				answer, err := c.Do(attempt, op)
				cancel()
				if err == nil {
					var header *etcdserverpb.ResponseHeader
					if op.IsDelete() {
						header = answer.Del().Header
					} else {
						header = answer.Put().Header
					}
					for old := last.Load(); old < header.Revision && !last.CompareAndSwap(old, header.Revision); old = last.Load() {
					}
					break
				}
				if time.Since(start) > time.Hour {
					log.Fatal(err)
				}
				retries.Add(1)
				time.Sleep(50 * time.Millisecond)
			}
			counter.Add(1)
		}
	})
	res.Creates, res.Updates, res.Deletes, res.Retries, res.LastRevision = creates.Load(), updates.Load(), deletes.Load(), retries.Load(), last.Load()
	res.Seconds = time.Since(start).Seconds()
	return res
}

func main() {
	endpoints := flag.String("endpoints", "http://127.0.0.1:2379", "etcd endpoints, comma separated")
	mode := flag.String("mode", "seed", "seed, churn, history or read")
	pods := flag.Int("pods", 10000, "number of pods; the rest follows from it")
	seedv := flag.Uint64("seed", 1, "generator seed")
	workers := flag.Int("workers", 16, "concurrent writers")
	rate := flag.Float64("rate", 0, "churn, history: changes per second, 0 for as fast as possible")
	duration := flag.Duration("duration", 10*time.Second, "churn: how long")
	ops := flag.Int64("ops", 20000, "history: creates, updates and deletes of pods in all")
	kinds := flag.String("kinds", "pods,leases", "churn: resources to update")
	pad := flag.Int("pad", 0, "seed, churn: bytes of an annotation that pods carry besides")
	flag.Parse()
	c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*endpoints, ","), DialTimeout: 5 * time.Second,
		Logger: zap.NewNop()}) // what fails is retried and counted, or returned
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	g := gen{seed: *seedv, pods: *pods, nodes: max(*pods/30, 1), padBytes: *pad}
	switch *mode {
	case "seed":
		seed(c, g, *workers)
	case "churn":
		json.NewEncoder(os.Stdout).Encode(churn(c, g, strings.Split(*kinds, ","), *rate, *duration, *workers))
	case "history":
		json.NewEncoder(os.Stdout).Encode(history(c, g, *ops, *rate, *workers))
	case "read":
		json.NewEncoder(os.Stdout).Encode(read(c, g))
	default:
		log.Fatalf("unknown mode %q", *mode)
	}
}

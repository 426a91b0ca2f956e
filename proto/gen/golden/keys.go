package main

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// directories are the irregular places in etcd; others are the lower-case plural.
var directories = map[string]string{
	"Node":                     "minions",
	"Service":                  "services/specs",
	"Endpoints":                "services/endpoints",
	"ReplicationController":    "controllers",
	"Ingress":                  "ingress",
	"CustomResourceDefinition": "apiextensions.k8s.io/customresourcedefinitions",
	"APIService":               "apiregistration.k8s.io/apiservices",
}

var clusterScoped = func() map[string]bool {
	kinds := map[string]bool{}
	for kind := range strings.FieldsSeq(`APIService CertificateSigningRequest ClusterRole ClusterRoleBinding ClusterTrustBundle ComponentStatus
		CSIDriver CSINode CustomResourceDefinition DeviceClass DeviceTaintRule FlowSchema IPAddress IngressClass MutatingAdmissionPolicy
		MutatingAdmissionPolicyBinding MutatingWebhookConfiguration Namespace Node PersistentVolume PriorityClass PriorityLevelConfiguration
		ResourcePoolStatusRequest ResourceSlice RuntimeClass SelfSubjectAccessReview SelfSubjectReview SelfSubjectRulesReview ServiceCIDR
		StorageClass StorageVersion StorageVersionMigration SubjectAccessReview TokenReview ValidatingAdmissionPolicy
		ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration VolumeAttachment VolumeAttributesClass APIGroupDiscovery
		PodSecurityPolicy`) {
		kinds[kind] = true
	}
	return kinds
}()

// keyOf is where etcd would keep the object; kinds that are never stored get a likely key, too.
func keyOf(gvk schema.GroupVersionKind, o runtime.Object) string {
	directory, ok := directories[gvk.Kind]
	if !ok {
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		directory = plural.Resource
	}
	key := "/registry/" + directory + "/"
	m, err := meta.Accessor(o)
	if err != nil {
		return key + "x"
	}
	if m.GetNamespace() != "" {
		key += m.GetNamespace() + "/"
	}
	return key + m.GetName()
}

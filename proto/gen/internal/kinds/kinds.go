// Package kinds knows every API kind that the public Kubernetes modules declare.
package kinds

import (
	"runtime/debug"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	admissionv1beta1 "k8s.io/api/admission/v1beta1"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apidiscoveryv2beta1 "k8s.io/api/apidiscovery/v2beta1"
	imagepolicyv1alpha1 "k8s.io/api/imagepolicy/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1beta1 "k8s.io/apimachinery/pkg/apis/meta/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
)

// Modules are the modules whose Go types are the source of the schema.
var Modules = []string{"k8s.io/api", "k8s.io/apiextensions-apiserver", "k8s.io/apimachinery", "k8s.io/kube-aggregator"}

// NewScheme registers every group version: those of client-go, and those that
// a client never sends but that a server stores or answers with.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientscheme.AddToScheme,
		admissionv1.AddToScheme, admissionv1beta1.AddToScheme,
		apidiscoveryv2.AddToScheme, apidiscoveryv2beta1.AddToScheme,
		apiextensionsv1.AddToScheme, apiextensionsv1beta1.AddToScheme,
		apiregistrationv1.AddToScheme, apiregistrationv1beta1.AddToScheme,
		imagepolicyv1alpha1.AddToScheme,
		metav1.AddMetaToScheme, metav1beta1.AddMetaToScheme,
	} {
		utilruntime.Must(add(s))
	}
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	return s
}

// Message is implemented by every Go type that has a protobuf message.
type Message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// Versions gives the version of each of Modules that the program was built with.
func Versions() map[string]string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		panic("built without module information")
	}
	versions := map[string]string{}
	for _, dep := range info.Deps {
		for _, m := range Modules {
			if dep.Path == m {
				versions[m] = dep.Version
			}
		}
	}
	return versions
}

// APIVersion is the apiVersion text of a group version.
func APIVersion(gv schema.GroupVersion) string { return gv.String() }

// IsShared tells whether a kind is one of those (WatchEvent, ListOptions, ...)
// that apimachinery registers again under every group version.
func IsShared(pkgPath string, gv schema.GroupVersion) bool {
	return strings.HasPrefix(pkgPath, "k8s.io/apimachinery/") && gv.Group != "" && gv.Group != "meta.k8s.io"
}

// Command webhooks is the front of an apiserver whose users and whose rights webhooks know: the authentication, impersonation and
// authorization filters of k8s.io/apiserver, put together as kube-apiserver does. Behind them every request is answered with 200.
package main

import (
	"context"
	"flag"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	authorizationunion "k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/filters/impersonation"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/webhook"
	tokenwebhook "k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	accesswebhook "k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook/metrics"
	"k8s.io/klog/v2"
)

func tokens(file, version string, audiences authenticator.Audiences) (authenticator.Token, error) {
	config, err := webhook.LoadKubeconfig(file, nil)
	if err != nil {
		return nil, err
	}
	asked, err := tokenwebhook.New(config, version, audiences, *options.DefaultAuthWebhookRetryBackoff())
	if err != nil {
		return nil, err
	}
	inner := cache.New(asked, false, 2*time.Minute, 2*time.Minute)
	return cache.New(inner, true, 10*time.Second, 10*time.Second), nil
}

func access(file, version string) (authorizer.Authorizer, error) {
	config, err := webhook.LoadKubeconfig(file, nil)
	if err != nil {
		return nil, err
	}
	asked, err := accesswebhook.New(config, version, 5*time.Minute, 30*time.Second, *options.DefaultAuthWebhookRetryBackoff(),
		authorizer.DecisionNoOpinion, nil, "webhook", metrics.NoopAuthorizerMetrics{}, authorizationcel.NewDefaultCompiler())
	if err != nil {
		return nil, err
	}
	return authorizationunion.New(authorizerfactory.NewPrivilegedGroups("system:masters"), asked), nil
}

func main() {
	listen := flag.String("http", "127.0.0.1:8080", "plain HTTP address")
	tokenFile := flag.String("authentication", "", "kubeconfig of the webhook for tokens")
	accessFile := flag.String("authorization", "", "kubeconfig of the webhook for access")
	version := flag.String("version", "v1", "of the reviews")
	audienceList := flag.String("audiences", "", "comma separated")
	klog.InitFlags(nil)
	flag.Parse()
	var audiences authenticator.Audiences
	if *audienceList != "" {
		audiences = strings.Split(*audienceList, ",")
	}
	tokenAuthenticator, err := tokens(*tokenFile, *version, audiences)
	if err != nil {
		klog.ErrorS(err, "the webhook for tokens")
		os.Exit(1)
	}
	authorizer, err := access(*accessFile, *version)
	if err != nil {
		klog.ErrorS(err, "the webhook for access")
		os.Exit(1)
	}
	known := group.NewAuthenticatedGroupAdder(bearertoken.New(tokenAuthenticator))
	anybody := union.NewFailOnError(known, anonymous.NewAuthenticator([]apiserver.AnonymousAuthCondition(nil)))

	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	codecs := serializer.NewCodecFactory(scheme)
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	handler = filters.WithAuthorization(handler, authorizer, codecs)
	handler = impersonation.WithConstrainedImpersonation(handler, authorizer, codecs)
	handler = filters.WithAuthentication(handler, anybody, filters.Unauthorized(codecs), audiences, nil)
	handler = filters.WithRequestInfo(handler, &request.RequestInfoFactory{
		APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		klog.ErrorS(err, "cannot listen")
		os.Exit(1)
	}
	server := &http.Server{Handler: handler}
	go func() { klog.ErrorS(server.Serve(listener), "ended") }()
	<-ctx.Done()
	server.Close()
}

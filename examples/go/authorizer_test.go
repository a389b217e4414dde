package authorizer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"keyward.example/go/keywardv1"
)

const (
	orders        = "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"
	administrator = "arn:aws:sts::111122223333:assumed-role/KeyAdministrator/kay"
)

// patience is long: these tests are about answers, not about time.
const patience = 30 * time.Second

// keyward starts the service over examples/quickstart.
func keyward(t *testing.T) (*exec.Cmd, *grpc.ClientConn) {
	t.Helper()
	binary := os.Getenv("KEYWARD_BINARY")
	if binary == "" {
		binary = "../../target/debug/keyward"
	}
	process := exec.Command(binary, "serve", "--policies", "../quickstart", "--listen", "127.0.0.1:0",
		"--http-listen", "none", "--log-format", "json")
	logs, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		var line struct{ Message, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
			connection, err := grpc.NewClient(line.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = connection.Close() })
			return process, connection
		}
	}
	t.Fatal("keyward does not listen")
	return nil, nil
}

func question(principal, tenant string) *keywardv1.AuthorizeRequest {
	return &keywardv1.AuthorizeRequest{
		Principal:         &keywardv1.Principal{Arn: principal},
		Action:            "kms:Decrypt",
		KeyId:             "alias/orders",
		EncryptionContext: map[string]string{"tenant": tenant},
	}
}

// questions are an allowed one, two that are denied, and one that cannot be answered.
func questions() []*keywardv1.AuthorizeRequest {
	nonsense := question(orders, "42")
	nonsense.Action = "kms:Nonsense"
	return []*keywardv1.AuthorizeRequest{question(orders, "42"), question(orders, "43"), question(administrator, "42"), nonsense}
}

func check(t *testing.T, errs []error) {
	t.Helper()
	if errs[0] != nil {
		t.Errorf("not allowed: %v", errs[0])
	}
	for _, err := range errs[1:3] {
		if !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "is not authorized to perform: kms:Decrypt") {
			t.Errorf("not denied: %v", err)
		}
	}
	if errors.Is(errs[3], ErrDenied) || status.Code(errs[3]) != codes.InvalidArgument {
		t.Errorf("answered: %v", errs[3])
	}
}

func TestAuthorize(t *testing.T) {
	_, connection := keyward(t)
	authorizer := New(connection, patience)
	var errs []error
	for _, question := range questions() {
		errs = append(errs, authorizer.Authorize(context.Background(), question))
	}
	check(t, errs)
}

func TestBatch(t *testing.T) {
	_, connection := keyward(t)
	errs, err := New(connection, patience).AuthorizeAll(context.Background(), questions())
	if err != nil {
		t.Fatal(err)
	}
	check(t, errs)
}

func TestStream(t *testing.T) {
	_, connection := keyward(t)
	byID, err := New(connection, patience).Stream(context.Background(), questions())
	if err != nil {
		t.Fatal(err)
	}
	if len(byID) != 4 {
		t.Fatalf("%d answers", len(byID))
	}
	check(t, []error{byID[0], byID[1], byID[2], byID[3]})
}

func TestNothingIsAllowedWithoutKeyward(t *testing.T) {
	process, connection := keyward(t)
	authorizer := New(connection, patience)
	if err := authorizer.Authorize(context.Background(), question(orders, "42")); err != nil {
		t.Fatal(err)
	}
	_ = process.Process.Kill()
	_ = process.Wait()
	if err := authorizer.Authorize(context.Background(), question(orders, "42")); err == nil {
		t.Error("allowed by nobody")
	}
	if errs, err := authorizer.AuthorizeAll(context.Background(), questions()); err == nil {
		t.Errorf("answered by nobody: %v", errs)
	}
	if byID, err := authorizer.Stream(context.Background(), questions()); err == nil {
		t.Errorf("answered by nobody: %v", byID)
	}
}

func TestOnlyOneDecisionAllows(t *testing.T) {
	for decision := keywardv1.Decision(-1); decision < 100; decision++ {
		err := decided(&keywardv1.AuthorizeResponse{Decision: decision})
		if (err == nil) != (decision == 1) {
			t.Errorf("%v: %v", decision, err)
		}
	}
}

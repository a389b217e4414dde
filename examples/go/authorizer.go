// Package authorizer asks Keyward, fail-closed: whatever is not a clear "allowed" is an error.
package authorizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"keyward.example/go/keywardv1"
)

// ErrDenied is wrapped by the error of a question that was answered, and not with "allowed".
var ErrDenied = errors.New("denied")

// Authorizer asks one Keyward.
type Authorizer struct {
	client keywardv1.AuthorizationServiceClient
	// How long an answer may take.
	patience time.Duration
}

// New asks over a connection.
func New(connection grpc.ClientConnInterface, patience time.Duration) *Authorizer {
	return &Authorizer{client: keywardv1.NewAuthorizationServiceClient(connection), patience: patience}
}

// Authorize returns nil if the question is answered with "allowed", and only then.
func (a *Authorizer) Authorize(ctx context.Context, question *keywardv1.AuthorizeRequest) error {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	answer, err := a.client.Authorize(ctx, question)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return decided(answer)
}

// AuthorizeAll asks many questions in one call: all of them are decided by one state of the policies.
// Its errors are in the order of the questions.
func (a *Authorizer) AuthorizeAll(ctx context.Context, questions []*keywardv1.AuthorizeRequest) ([]error, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	answers, err := a.client.BatchAuthorize(ctx, &keywardv1.BatchAuthorizeRequest{Requests: questions})
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	if len(answers.GetItems()) != len(questions) {
		return nil, fmt.Errorf("%d answers to %d questions", len(answers.GetItems()), len(questions))
	}
	errs := make([]error, len(questions))
	for i, item := range answers.GetItems() {
		errs[i] = answered(item.GetResponse(), item.GetError())
	}
	return errs, nil
}

// Stream asks the questions on one stream. Answers carry the id of their question: here its place.
func (a *Authorizer) Stream(ctx context.Context, questions []*keywardv1.AuthorizeRequest) (map[uint64]error, error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	stream, err := a.client.AuthorizeStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("no stream: %w", err)
	}
	go func() {
		for i, question := range questions {
			if stream.Send(&keywardv1.AuthorizeStreamRequest{Id: uint64(i), Request: question}) != nil {
				return // Recv tells why.
			}
		}
		_ = stream.CloseSend()
	}()
	errs := make(map[uint64]error)
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the stream broke: %w", err)
		}
		errs[answer.GetId()] = answered(answer.GetResponse(), answer.GetError())
	}
}

// answered is nil for an answer that is "allowed"; there is an answer, or a reason why there is none.
func answered(answer *keywardv1.AuthorizeResponse, reason *spb.Status) error {
	if answer != nil {
		return decided(answer)
	}
	if err := status.ErrorProto(reason); err != nil {
		return err
	}
	return status.Error(codes.Unknown, "no answer and no reason")
}

// decided is nil for the one decision that means "do it"; not for one that this client does not know.
func decided(answer *keywardv1.AuthorizeResponse) error {
	if answer.GetDecision() == keywardv1.Decision_DECISION_ALLOWED {
		return nil
	}
	return fmt.Errorf("%w: %v: %s", ErrDenied, answer.GetDecision(), answer.GetMessage())
}

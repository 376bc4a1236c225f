// Package wallet holds keys and finds out what they own.
//
// Its one idea is to trust nobody with more than they need. The keys are needed only
// to sign, so they are apart from all else. They come from twelve or twenty-four
// words (BIP39) by BIP32 and BIP86, so that the words alone restore a wallet, here
// or in another program. The words are encrypted in a File, and leave it only as a
// Signer, which signs and is wiped. Everything else works with an Account, the public
// half, which sees every payment and can spend nothing.
//
// A Wallet watches an account and is a light client. It asks a node, and believes
// nothing that it can check:
//
//	file, err := wallet.OpenFile(path, params)          // the keys stay locked
//	w, err := wallet.Open(dir, file, params, log)
//	err = w.Sync(ctx, node, progress)                   // headers, filters, few blocks
//	draft, err := wallet.Build(&wallet.Request{Coins: w.Coins(), …})
//	signer, err := file.Unlock(passphrase)
//	err = signer.Sign(draft)                            // and verify, as a node would
//	err = w.Send(ctx, node, draft)
//
// The Node is an interface of two calls, and none of their parameters is an address
// or a script of the wallet. What a node learns all the same, and what one that lies
// can do, is told in docs/wallet.md.
//
// A caller has three duties: to show a Draft to whoever pays before it is signed, to
// wipe the Signer, and to take an ErrUnsure from Send for what it says.
package wallet

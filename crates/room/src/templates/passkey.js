// Fills a form with the browser's answer about a passkey, and sends the form. data-passkey says whether a passkey is made, or signs.
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  const keys = (ids) => (ids ?? '').split(' ').filter(Boolean).map((id) => ({ type: 'public-key', id: bytes(id) }));

  const fresh = async (place) => {
    const answer = await fetch(place, { method: 'POST' });
    if (!answer.ok) throw new Error('The control room gave no challenge. Load the page anew.');
    return answer.text();
  };

  // Makes a passkey. The authenticator keeps it, and offers it without being told its id.
  const create = (challenge, { rp, known, person }) => navigator.credentials.create({ publicKey: {
    challenge,
    rp: { id: rp, name: 'Firedrill' },
    user: { id: crypto.getRandomValues(new Uint8Array(32)), name: person, displayName: person },
    // ES256.
    pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
    excludeCredentials: keys(known),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  } });
  const get = (challenge, { rp, known }) => navigator.credentials.get({ publicKey: {
    challenge, rpId: rp, allowCredentials: keys(known), userVerification: 'required',
  } });

  const fields = (challenge, { id, response }) => ({
    challenge,
    credential: id,
    client_data: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData ?? response.getAuthenticatorData()),
    ...(response.signature ? { signature: text(response.signature) } : { public_key: text(response.getPublicKey()) }),
  });

  const ask = async (form) => {
    const { passkey, origin, challengeAt } = form.dataset;
    if (location.origin !== origin) throw new Error(`Passkeys work on ${origin} alone. Open that, and log in there.`);
    if (!window.PublicKeyCredential) throw new Error('This browser has no passkeys.');
    const challenge = challengeAt ? await fresh(challengeAt) : form.dataset.challenge;
    const made = await (passkey === 'create' ? create : get)(bytes(challenge), form.dataset);
    for (const [name, value] of Object.entries(fields(challenge, made))) {
      const field = document.createElement('input');
      Object.assign(field, { type: 'hidden', name, value });
      form.append(field);
    }
    form.submit();
  };

  const why = (error) => ({
    NotAllowedError: 'The passkey was not used: it was refused, or it took too long.',
    InvalidStateError: 'This device has a passkey of yours already.',
    NotSupportedError: 'This device has no passkeys of the kind that is needed (ES256).',
  })[error.name] ?? error.message;

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const said = form.querySelector('[data-said]');
      said.textContent = '';
      ask(form).catch((error) => { said.textContent = why(error); });
    });
  }
})();

# kernel ridge on head input: delta-embedding regression
import sys; sys.path.insert(0,'/work/research')
from lab import *; from t2 import *
fg=FG(); names=['mesh_a']
E,sub,age=mesh('mesh_a'); 
Xm=np.concatenate([np.load(f) for f in sorted(glob.glob(R+'f/mesh_a_*_x.npy'))]).reshape(len(E),-1).astype(np.float32)
Xf=np.load(R+'f/fgnet_x.npy').reshape(498,-1).astype(np.float32)
mu=Xm.mean(0); Km=(Xm-mu)@(Xm-mu).T; Kf=(Xf-mu)@(Xm-mu).T
Kf0=Xf@Xm.T; K0=Xm@Xm.T
print('mean sq norms mesh, fg',(Xm**2).sum(1).mean(),(Xf**2).sum(1).mean(),'centred',np.trace(Km)/len(Km))
n=np.linalg.norm(E,axis=1).mean()
ids=np.unique(sub,return_inverse=True)[1]
pm=np.stack([E[ids==i].mean(0) for i in range(ids.max()+1)])
T=pm[ids]-E   # delta to person's mean
for nm,K,KF in (('centred',Km,Kf),('raw',K0,Kf0)):
  for lam in (.01,.1,.3,1,3):
    A=np.linalg.solve(K+lam*np.trace(Km)/len(Km)*np.eye(len(K)),T)
    D=KF@A
    print(nm,lam,'fit',1-((T-K@A)**2).sum()/(T**2).sum(),'|D| rel',np.linalg.norm(D,axis=1).mean()/n,*[f'a={a} '+fmt(*fg.show(fg.e+a*D)) for a in (.5,1,2,4)])
